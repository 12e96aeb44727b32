// Whether FORMAT.md names what the messages have. That it is enough, tests/recover_test.py shows.
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "archive/testing/archive_fixture.h"
#include "gtest/gtest.h"
#include "vxa/archive/v1/records.pb.h"

namespace vxa::testing {
namespace {

// One line of the document's list for each message; there it may have more than one.
std::string FieldsOf(const google::protobuf::Descriptor& message) {
  using google::protobuf::FieldDescriptor;
  std::string line = message.name();
  for (int i = 0; i < message.field_count(); ++i) {
    const FieldDescriptor& field = *message.field(i);
    absl::StrAppend(&line, " ", field.number(), " ", field.name());
    switch (field.type()) {
      case FieldDescriptor::TYPE_MESSAGE:
        absl::StrAppend(&line, ": ", field.message_type()->name());
        break;
      case FieldDescriptor::TYPE_STRING:
        line += ": text";
        break;
      case FieldDescriptor::TYPE_BYTES:
        line += ": bytes";
        break;
      case FieldDescriptor::TYPE_ENUM:
        for (int v = 1; v < field.enum_type()->value_count(); ++v) {
          const auto* value = field.enum_type()->value(v);
          absl::StrAppend(&line, v == 1 ? " (" : ", ", value->number(), " ",
                          absl::StrReplaceAll(absl::AsciiStrToLower(value->name()), {{"_", " "}}));
        }
        line += ")";
        break;
      default:
        break;
    }
    if (field.is_repeated()) line += "...";
  }
  return line;
}

TEST(FormatTest, HasTheFieldsOfEachMessage) {
  std::string document = ReadFile("archive/FORMAT.md");
  std::string words;
  for (absl::string_view word :
       absl::StrSplit(document, absl::ByAnyChar(" \n"), absl::SkipEmpty())) {
    absl::StrAppend(&words, word, " ");
  }
  const google::protobuf::FileDescriptor* file = archive::v1::Manifest::descriptor()->file();
  for (int i = 0; i < file->message_type_count(); ++i) {
    EXPECT_NE(words.find(FieldsOf(*file->message_type(i)) + " "), std::string::npos)
        << FieldsOf(*file->message_type(i));
  }
}

}  // namespace
}  // namespace vxa::testing
