// Decoders that users bring: registered, named by puts, approved and disabled.
#include <gtest/gtest.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "archive/archive.h"
#include "archive/errors.h"
#include "archive/note_cache.h"
#include "archive/testing/archive_fixture.h"

namespace vxa::testing {
namespace {

std::string Xor(std::string bytes, char key) {
  for (char& c : bytes) c = static_cast<char>(c ^ key);
  return bytes;
}

std::string Reason(const absl::Status& status) { return ReasonName(status); }

class DecoderRegistryTest : public ArchiveFixture {
 protected:
  DecoderRegistryTest() : xor_(Guest("xor")), xor_id_(Digest::Of(xor_)) { Open(); }

  static std::string Guest(const std::string& name) {
    return ReadFile(absl::StrCat("decoders/testing/", name, ".vx"));
  }

  absl::StatusOr<DecoderInfo> Register(std::string_view image, RegisterSpec spec = {}) {
    spec.image = image;
    return archive_->RegisterDecoder(spec, {.agent = "tester"});
  }

  // Registers the guest and puts `original` as its encoding with `key`.
  absl::StatusOr<PutResult> PutEncoded(const std::string& name, const std::string& original,
                                       char key) {
    return PutWith(name, Xor(original, key),
                   {.decoder = xor_id_,
                    .arguments = {std::string(1, key)},
                    .original_digest = Digest::Of(original)});
  }

  absl::StatusOr<PutResult> PutWith(const std::string& name, const std::string& encoded,
                                    Decoding decoding) {
    return Put(*archive_, {.name = name, .decoding = std::move(decoding)}, encoded);
  }

  absl::StatusOr<std::string> Read(const ReadSpec& spec) {
    Collector collector;
    absl::StatusOr<ReadResult> result = archive_->Read(spec, collector, {});
    if (!result.ok()) return result.status();
    EXPECT_TRUE(result->verified);
    header_ = collector.header;
    return collector.bytes;
  }

  std::vector<std::string> DecoderNames() {
    std::vector<std::string> names;
    absl::StatusOr<DecoderList> list = archive_->ListDecoders("default", 0, "");
    EXPECT_TRUE(list.ok()) << list.status();
    for (const DecoderInfo& info : list->decoders) names.push_back(info.name);
    std::ranges::sort(names);
    return names;
  }

  void RebuildIndex() {
    Close();
    std::filesystem::remove_all(directory_ / "index");
    Open();
  }

  const std::string xor_;
  const Digest xor_id_;
  ReadHeader header_;  // of the last Read
};

TEST_F(DecoderRegistryTest, BringsBackObjectsThroughTheDecoderTheyCameWith) {
  ASSERT_TRUE(Register(xor_, {.name = "xor"}).ok());
  const std::string original = Text(9'000'000, 1);  // three chunks
  absl::StatusOr<PutResult> put = PutEncoded("a", original, '7');
  ASSERT_TRUE(put.ok()) << put.status();
  EXPECT_EQ(put->object.size, original.size());
  EXPECT_EQ(put->object.digest, Digest::Of(original));
  EXPECT_EQ(put->object.media_type, "text/plain");
  ASSERT_TRUE(put->object.decoding);
  EXPECT_EQ(put->object.decoding->decoder, xor_id_);
  EXPECT_EQ(put->object.decoding->arguments, std::vector<std::string>{"7"});
  EXPECT_EQ(put->object.decoding->stored_form_digest, Digest::Of(Xor(original, '7')));
  EXPECT_GT(put->object.decoding->cost.instructions, original.size());

  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(*Read({.name = "a"}), original);
    EXPECT_EQ(header_.size, original.size());
    EXPECT_EQ(*Read({.name = "a", .offset = 5'000'000, .limit = 10}),
              original.substr(5'000'000, 10));
    EXPECT_EQ(*Read({.name = "a", .form = Form::kStored}), Xor(original, '7'));
    EXPECT_EQ(header_.digest, Digest::Of(Xor(original, '7')));
    EXPECT_EQ(*Read({.name = "a", .form = Form::kStored, .offset = 4'200'000, .limit = 3}),
              Xor(original.substr(4'200'000, 3), '7'));
    RebuildIndex();
  }
}

TEST_F(DecoderRegistryTest, BringsBackObjectsThroughABuiltInDecoderThatAPutNames) {
  const std::string original = Text(100'000, 2);
  absl::StatusOr<DecoderList> list = archive_->ListDecoders("default", 0, "");
  ASSERT_TRUE(list.ok());
  auto zlib = std::ranges::find(list->decoders, "zlib", &DecoderInfo::name);
  ASSERT_NE(zlib, list->decoders.end());
  absl::StatusOr<PutResult> put = PutWith("a.txt", Gzip(original),
                                          {.decoder = zlib->id,
                                           .arguments = {"--format=gzip"},
                                           .original_digest = Digest::Of(original),
                                           .original_size = original.size()});
  ASSERT_TRUE(put.ok()) << put.status();
  EXPECT_EQ(*Read({.name = "a.txt"}), original);
  EXPECT_EQ(*Read({.name = "a.txt", .form = Form::kStored}), Gzip(original));
  EXPECT_TRUE(put->object.views.empty());
}

TEST_F(DecoderRegistryTest, RefusesWhatTheDecoderDoesNotReproduceAndStoresNothing) {
  ASSERT_TRUE(Register(xor_, {.name = "xor"}).ok());
  ASSERT_TRUE(Register(Guest("fault")).ok());
  const std::string original = "the original";
  const auto refused = [&](Decoding decoding, const std::string& encoded) {
    decoding.original_digest = Digest::Of(original);
    absl::StatusOr<PutResult> put = PutWith("a", encoded, std::move(decoding));
    EXPECT_EQ(Reason(put.status()), "PROOF_FAILED") << put.status();
    EXPECT_EQ(Reason(Read({.name = "a"}).status()), "OBJECT_NOT_FOUND");
    return std::string(put.status().message());
  };
  EXPECT_NE(refused({.decoder = xor_id_, .arguments = {"1"}}, Xor(original, '2')).find("digest"),
            std::string::npos);
  EXPECT_NE(refused({.decoder = xor_id_, .arguments = {"1", "2"}}, Xor(original, '2'))
                .find("the argument is the key"),
            std::string::npos);
  const std::string right = Xor(original, '2');
  EXPECT_NE(refused({.decoder = xor_id_, .arguments = {"2"}, .original_size = 5}, right).find("5"),
            std::string::npos);
  EXPECT_NE(
      refused({.decoder = xor_id_, .arguments = {"2"}, .original_size = 50}, right).find("50"),
      std::string::npos);
  EXPECT_NE(refused({.decoder = Digest::Of(Guest("fault")), .arguments = {"read", "0"}}, "x")
                .find("page fault"),
            std::string::npos);
}

TEST_F(DecoderRegistryTest, TakesTheSameBytesAsUnchangedOnlyWithTheSameDecoder) {
  ASSERT_TRUE(Register(xor_).ok());
  const std::string original = "some text";
  EXPECT_EQ(PutEncoded("a", original, '1')->object.version, 1u);
  EXPECT_TRUE(PutEncoded("a", original, '1')->unchanged);
  EXPECT_EQ(PutEncoded("a", original, '2')->object.version, 2u);
  absl::StatusOr<PutResult> plain = Put(*archive_, "a", original);
  EXPECT_TRUE(plain->unchanged);
  EXPECT_EQ(plain->object.version, 2u);
}

TEST_F(DecoderRegistryTest, RegistersWhatEndsWellAndSaysWhyElse) {
  absl::StatusOr<DecoderInfo> info = Register(xor_, {.name = "my xor",
                                                     .sample = "\x01\x02",
                                                     .arguments = {"1"},
                                                     .sample_digest = Digest::Of("03")});
  ASSERT_TRUE(info.ok()) << info.status();
  EXPECT_EQ(info->id, xor_id_);
  EXPECT_EQ(info->name, "my xor");
  EXPECT_EQ(info->origin, DecoderInfo::Origin::kRegistered);
  EXPECT_EQ(info->registered_by, "tester");
  EXPECT_EQ(info->size, xor_.size());
  EXPECT_FALSE(info->approved);

  const auto rejected = [&](std::string_view image, RegisterSpec spec) {
    absl::StatusOr<DecoderInfo> result = Register(image, std::move(spec));
    EXPECT_EQ(Reason(result.status()), "DECODER_REJECTED") << result.status();
    return std::string(result.status().message());
  };
  EXPECT_NE(rejected("not an ELF file", {}).find("ELF"), std::string::npos);
  EXPECT_NE(rejected(Guest("flood"), {}).find("output"), std::string::npos);
  const std::string fault = Guest("fault");
  EXPECT_NE(rejected(fault, {.sample = "", .arguments = {"ud2"}}).find("invalid"),
            std::string::npos);
  EXPECT_NE(
      rejected(Guest("cat"), {.sample = "x", .sample_digest = Digest::Of("y")}).find("digest"),
      std::string::npos);
}

TEST_F(DecoderRegistryTest, KnowsWhatIsRegisteredAfterARebuild) {
  ASSERT_TRUE(Register(xor_, {.name = "xor"}).ok());
  ASSERT_TRUE(
      archive_->Rule({.decoder = xor_id_, .disabled = true, .reason = "too slow"}, {}).ok());
  const std::vector<std::string> names = DecoderNames();
  for (int i = 0; i < 2; ++i) {
    absl::StatusOr<DecoderInfo> info = archive_->StatDecoder("default", xor_id_);
    ASSERT_TRUE(info.ok()) << info.status();
    EXPECT_TRUE(info->disabled);
    EXPECT_EQ(info->disabled_reason, "too slow");
    EXPECT_EQ(info->name, "xor");
    EXPECT_EQ(info->registered_by, "tester");
    EXPECT_EQ(DecoderNames(), names);
    EXPECT_EQ(*archive_->ReadDecoder("default", xor_id_), xor_);
    RebuildIndex();
  }
}

TEST_F(DecoderRegistryTest, ReadsOldObjectsThroughADisabledDecoderAndTakesNoNewOnes) {
  ASSERT_TRUE(Register(xor_).ok());
  ASSERT_TRUE(PutEncoded("a", "text", '1').ok());
  ASSERT_TRUE(archive_->Rule({.decoder = xor_id_, .disabled = true, .reason = "bad"}, {}).ok());
  absl::StatusOr<PutResult> put = PutEncoded("b", "text", '1');
  EXPECT_EQ(Reason(put.status()), "DECODER_DISABLED");
  EXPECT_NE(put.status().message().find("bad"), absl::string_view::npos);
  EXPECT_EQ(*Read({.name = "a"}), "text");
  ASSERT_TRUE(archive_->Rule({.decoder = xor_id_}, {}).ok());
  EXPECT_TRUE(PutEncoded("b", "text", '1').ok());
}

TEST_F(DecoderRegistryTest, FindsNoDecoderThatIsNotThere) {
  EXPECT_EQ(Reason(archive_->StatDecoder("default", xor_id_).status()), "DECODER_NOT_FOUND");
  EXPECT_EQ(Reason(archive_->ReadDecoder("default", xor_id_).status()), "DECODER_NOT_FOUND");
  EXPECT_EQ(Reason(PutEncoded("a", "text", '1').status()), "DECODER_NOT_FOUND");
  EXPECT_EQ(Reason(archive_->Rule({.decoder = xor_id_}, {})), "DECODER_NOT_FOUND");
}

TEST_F(DecoderRegistryTest, ListsDecodersAPageAtATime) {
  const size_t built_in = DecoderNames().size();
  ASSERT_TRUE(Register(xor_).ok());
  ASSERT_TRUE(Register(Guest("cat")).ok());
  ASSERT_TRUE(Register(Guest("echo_args")).ok());
  std::vector<Digest> all;
  std::string token;
  do {
    absl::StatusOr<DecoderList> page = archive_->ListDecoders("default", 1, token);
    ASSERT_TRUE(page.ok()) << page.status();
    ASSERT_EQ(page->decoders.size(), 1u);
    all.push_back(page->decoders[0].id);
    token = page->next_page_token;
  } while (!token.empty());
  EXPECT_EQ(all.size(), built_in + 3);
  EXPECT_TRUE(std::ranges::is_sorted(all));
  EXPECT_EQ(Reason(archive_->ListDecoders("default", 1, "x").status()), "INVALID_REQUEST");
}

TEST_F(DecoderRegistryTest, ChecksWhatItIsGiven) {
  const auto invalid = [&](std::string_view image, RegisterSpec spec) {
    EXPECT_EQ(Reason(Register(image, std::move(spec)).status()), "INVALID_REQUEST");
  };
  invalid("", {});
  invalid(std::string((2 << 20) + 1, 'x'), {});
  invalid(xor_, {.name = std::string(65, 'x')});
  invalid(xor_, {.name = "a/b"});
  invalid(xor_, {.name = "\xff"});
  invalid(xor_, {.arguments = {"1"}});
  invalid(xor_, {.sample = "x", .arguments = {std::string("1\0", 2)}});
  invalid(xor_, {.sample = "x", .arguments = {std::string(70'000, '1')}});
  const std::string large((512 << 10) + 1, 'x');
  invalid(xor_, {.sample = large});
}

TEST(NoteCache, HoldsAFewMegabytes) {
  NoteCache cache;
  const std::string text(16 << 10, 'x');
  const auto id = [](int i) { return Digest::Of(absl::StrCat(i)); };
  for (int i = 0; i < 1000; ++i) {
    cache.Add(id(i), text);
    EXPECT_EQ(cache.Find(id(i)), text);
  }
  int found = 0;
  for (int i = 0; i < 1000; ++i) found += cache.Find(id(i)).has_value();
  EXPECT_LE(found, 256);
}

}  // namespace
}  // namespace vxa::testing
