// What must hold of every codec: what its encoder makes, its archived decoder undoes, in the
// sandbox that chunks are proved in.
#include "archive/codec.h"

#include <string>
#include <vector>

#include "archive/testing/archive_fixture.h"
#include "gtest/gtest.h"

namespace vxa::testing {
namespace {

class CodecTest : public ::testing::TestWithParam<Codec> {
 protected:
  // What the codec's decoder makes of `encoded`.
  static std::string Decode(std::string_view encoded) {
    const Codec& codec = GetParam();
    if (codec.decoder.empty()) return std::string(encoded);
    const std::optional<DecoderImage> image = BuiltinDecoder(codec.decoder);
    if (!image) return "no decoder";
    vx::DecodeRequest request{.decoder = image->elf};
    request.limits.memory = uint64_t{64} << 20;  // what chunks are proved with
    if (!codec.argument.empty()) request.arguments = {std::string(codec.argument)};
    Source source(encoded);
    Sink sink;
    absl::StatusOr<vx::DecodeResult> run = Workers().Decode(request, source, sink);
    if (!run.ok()) return run.status().ToString();
    EXPECT_EQ(run->description, "exit status 0");
    return sink.bytes;
  }

  static std::vector<std::string> Chunks() {
    return {"", "x", Text(150'000, 1), Noise(150'000, 2), std::string(150'000, '\0')};
  }

 private:
  class Source : public vx::ByteSource {
   public:
    explicit Source(std::string_view bytes) : bytes_(bytes) {}
    absl::StatusOr<std::string_view> Next() override { return std::exchange(bytes_, {}); }

   private:
    std::string_view bytes_;
  };

  struct Sink : vx::ByteSink {
    absl::Status Append(std::string_view more) override {
      bytes.append(more);
      return absl::OkStatus();
    }
    std::string bytes;
  };
};

TEST_P(CodecTest, ItsDecoderGivesEveryChunkBack) {
  for (const std::string& chunk : Chunks()) {
    const std::optional<std::string> encoded = GetParam().encode(chunk, UINT64_MAX);
    ASSERT_TRUE(encoded) << chunk.size();
    EXPECT_TRUE(Decode(*encoded) == chunk) << chunk.size();
  }
}

TEST_P(CodecTest, ItsDecoderGivesAChunkOfTheLargestSizeBack) {
  const std::string chunk = Noise(1 << 19, 1) + Text(7 << 19, 2);
  EXPECT_TRUE(Decode(*GetParam().encode(chunk, UINT64_MAX)) == chunk);
}

TEST_P(CodecTest, GivesAllOrNothingOfWhatIsLongerThanWanted) {
  for (const std::string& chunk : Chunks()) {
    const std::string encoded = *GetParam().encode(chunk, UINT64_MAX);
    EXPECT_TRUE(GetParam().encode(chunk, encoded.size()) == encoded) << chunk.size();
    if (encoded.empty()) continue;
    EXPECT_FALSE(GetParam().encode(chunk, encoded.size() - 1)) << chunk.size();
    EXPECT_FALSE(GetParam().encode(chunk, 0)) << chunk.size();
  }
}

TEST_P(CodecTest, IsFoundByItsNameAlone) {
  const Codec* found = FindCodec(GetParam().name);
  ASSERT_NE(found, nullptr);
  EXPECT_EQ(found->encode, GetParam().encode);
  EXPECT_EQ(FindCodec(std::string(GetParam().name) + " "), nullptr);
}

INSTANTIATE_TEST_SUITE_P(Codecs, CodecTest, ::testing::ValuesIn(Codecs()),
                         [](const ::testing::TestParamInfo<Codec>& info) {
                           return std::string(info.param.name);
                         });

TEST(CodecTableTest, NamesWhatTheArchiveChoosesByItself) {
  EXPECT_EQ(StoreCodec().name, "store");
  EXPECT_EQ(GeneralCodec().name, "zstd");
}

}  // namespace
}  // namespace vxa::testing
