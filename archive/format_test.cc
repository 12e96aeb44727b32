// Whether FORMAT.md is enough: a reader that was written by it alone, in another language, reads
// what the archive writes.
#include <stdio.h>

#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "archive/archive.h"
#include "archive/testing/archive_fixture.h"
#include "archive/text.h"
#include "gtest/gtest.h"
#include "vxa/archive/v1/records.pb.h"

namespace vxa::testing {
namespace {

using FormatTest = ArchiveFixture;

std::string OutputOf(const std::string& command) {
  std::string output;
  FILE* pipe = popen(command.c_str(), "r");
  if (pipe == nullptr) return "popen failed";
  char buffer[4096];
  for (size_t got; (got = fread(buffer, 1, sizeof(buffer), pipe)) > 0;) output.append(buffer, got);
  if (pclose(pipe) != 0) output += "it failed";
  return output;
}

TEST_F(FormatTest, IsReadByAProgramWrittenFromTheDocumentAlone) {
  pack_size_ = 16 << 20;
  Open();
  std::string expected;
  const auto put = [&](const std::string& name, const std::string& bytes, const char* codec) {
    absl::StatusOr<PutResult> result = Put(*archive_, {.name = name, .codec = codec}, bytes);
    ASSERT_TRUE(result.ok()) << result.status();
    absl::StrAppend(&expected, name, " ", result->object.version, " ", bytes.size(), " ",
                    absl::BytesToHexString(Absl(Digest::Of(bytes).raw())), "\n");
  };
  put("chunks", Text(100'000, 1) + Noise(4 << 20, 2), "auto");
  put("empty", "", "auto");
  put("gzip.gz", Gzip(Text(5000, 3)), "auto");
  put("hidden", "x", "auto");
  absl::StrAppend(&expected, "hidden 2 delete marker\n");
  put("list", std::string(65 * (4 << 20) + 1, 'x'), "deflate");  // so many that it needs a list
  put("noise", Noise(13 << 20, 4), "auto");                      // a second pack
  put("versions", "one", "auto");
  put("versions", "two", "auto");
  ASSERT_TRUE(Put(*archive_, "versions", "three").ok());
  ASSERT_TRUE(archive_->Delete({.name = "versions", .version = 3}).ok());
  ASSERT_TRUE(archive_->Delete({.name = "hidden"}).ok());
  Close();
  ASSERT_TRUE(std::filesystem::exists(Pack(2)));
  EXPECT_EQ(OutputOf("python3 archive/testing/read_packs.py " + directory_.string() + " 2>&1"),
            expected);
}

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

TEST(FormatDocumentTest, HasTheFieldsOfEachMessage) {
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
