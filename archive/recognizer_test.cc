#include "archive/recognizer.h"

#include <string>

#include "gtest/gtest.h"

namespace vxa {
namespace {

using std::string_literals::operator""s;

const std::string kGzip = "\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03"s;

TEST(RecognizerTest, KnowsFormatsByTheirSignatures) {
  EXPECT_EQ(MediaType(kGzip + "rest"), "application/gzip");
  EXPECT_EQ(Recognize(kGzip)->pronom, "x-fmt/266");
  std::string tar(512, '\0');
  tar.replace(257, 5, "ustar");
  EXPECT_EQ(MediaType(tar), "application/x-tar");
  EXPECT_EQ(MediaType("\x89PNG\r\n\x1a\n..."), "image/png");
  EXPECT_EQ(MediaType("%PDF-1.7"), "application/pdf");
}

TEST(RecognizerTest, KnowsWhatHasADecoder) {
  const auto decoder_of = [](const std::string& head) {
    const Format* format = Recognize(head);
    return format == nullptr ? "" : std::string(format->decoder);
  };
  const std::string ogg = "OggS\0\x02"s + std::string(20, 'x') + "\x01\x1e";
  EXPECT_EQ(decoder_of("\x28\xb5\x2f\xfd rest"), "zstd");
  EXPECT_EQ(decoder_of("\xfd\x37zXZ\0 rest"s), "xz");
  EXPECT_EQ(decoder_of("LZIP\x01 rest"), "xz");
  EXPECT_EQ(decoder_of("LZIP\x02 rest"), "");
  EXPECT_EQ(decoder_of("\x04\x22\x4d\x18 rest"), "lz4");
  EXPECT_EQ(decoder_of("\x02\x21\x4c\x18 rest"), "lz4");
  EXPECT_EQ(decoder_of("fLaC rest"), "flac");
  EXPECT_EQ(decoder_of(ogg + "\x01vorbis rest"), "vorbis");
  EXPECT_EQ(decoder_of(ogg + "OpusHead rest"), "opus");
  EXPECT_EQ(decoder_of(ogg + "\x80theora rest"), "");
  EXPECT_EQ(decoder_of(ogg), "");
  EXPECT_EQ(decoder_of("ID3\x04 rest"), "mp3");
  EXPECT_EQ(decoder_of("\x89PNG\r\n\x1a\n rest"), "png");
  EXPECT_EQ(decoder_of("\xff\xd8\xff\xe0 rest"), "jpeg");
  EXPECT_EQ(decoder_of("RIFF\x24\0\0\0WEBPVP8 "s), "webp");
  EXPECT_EQ(decoder_of("GIF89a rest"), "gif");
  EXPECT_EQ(decoder_of("II*\0 rest"s), "tiff");
  EXPECT_EQ(decoder_of("MM\0* rest"s), "tiff");
  EXPECT_EQ(decoder_of("II+\0\x08\0\0\0 rest"s), "tiff");
  EXPECT_EQ(decoder_of("MM\0+\0\x08\0\0 rest"s), "tiff");
  EXPECT_EQ(decoder_of("\0\0\0\x0cjP  \r\n\x87\n rest"s), "jp2");
  EXPECT_EQ(decoder_of("\xff\x4f\xff\x51 rest"), "jp2");
  EXPECT_EQ(MediaType("RIFF\x24\0\0\0WAVEfmt "s), "audio/wav");
}

// The header of a layer III frame at 128 kbit/s and what follows it.
std::string Mp3Frame(char version, char rate, size_t size) {
  std::string frame(size, '\x55');
  frame[0] = '\xff';
  frame[1] = version;
  frame[2] = rate;
  return frame;
}

TEST(RecognizerTest, KnowsMp3WithoutATagByItsFirstTwoFrames) {
  const struct {
    char version, rate;
    size_t size;
  } kFrames[] = {{'\xfb', '\x90', 417},    // MPEG-1, 44,100 Hz
                 {'\xfb', '\x92', 418},    // padded
                 {'\xfa', '\x94', 384},    // with a CRC, 48,000 Hz
                 {'\xf3', '\xc0', 417},    // MPEG-2, 22,050 Hz
                 {'\xe3', '\xc8', 1152}};  // MPEG-2.5, 8,000 Hz
  for (const auto& f : kFrames) {
    const std::string frame = Mp3Frame(f.version, f.rate, f.size);
    const Format* format = Recognize(frame + frame);
    ASSERT_NE(format, nullptr) << f.size;
    EXPECT_EQ(format->decoder, "mp3");
    EXPECT_EQ(Recognize(frame), nullptr) << f.size;
    EXPECT_EQ(Recognize(frame + frame.substr(0, 3)), nullptr) << f.size;
    EXPECT_EQ(Recognize(frame + 'x' + frame), nullptr) << f.size;
    EXPECT_EQ(Recognize(frame + Mp3Frame(f.version, f.rate ^ 4, f.size)), nullptr) << f.size;
  }
  const std::string layer2 = Mp3Frame('\xfd', '\x90', 417), free = Mp3Frame('\xfb', '\x00', 417);
  EXPECT_EQ(Recognize(layer2 + layer2), nullptr);
  EXPECT_EQ(Recognize(free + free), nullptr);
  EXPECT_EQ(MediaType("\xff\xfe" + std::string(4000, '\0')), "application/octet-stream");
}

TEST(RecognizerTest, KnowsLzmaByItsHeader) {
  const std::string dictionary = "\x5d\0\0\x80\0"s, size = "\x10\x27\0\0\0\0\0\0"s;
  for (const std::string& header : {dictionary + size, dictionary + std::string(8, '\xff')}) {
    ASSERT_NE(Recognize(header + "\0rest"s), nullptr);
    EXPECT_EQ(Recognize(header + "\0rest"s)->decoder, "xz");
    EXPECT_EQ(Recognize(header), nullptr);
    EXPECT_EQ(Recognize(header + "\1rest"s), nullptr);
  }
  EXPECT_EQ(Recognize(dictionary + "\0\0\0\0\0\0\0\1\0rest"s), nullptr);
}

TEST(RecognizerTest, KnowsWhatHasACodecOfItsOwn) {
  EXPECT_EQ(Recognize("RIFF\x24\0\0\0WAVEfmt "s)->codec, "flac");
  EXPECT_EQ(Recognize("P4 1 1")->codec, "png");
  EXPECT_EQ(Recognize("P6 1 1")->codec, "png");
  EXPECT_EQ(Recognize(kGzip)->codec, "");
}

TEST(RecognizerTest, KnowsPicturesByTheirHeaders) {
  EXPECT_EQ(MediaType("P4\n1 1"), "image/x-portable-bitmap");
  EXPECT_EQ(Recognize("P4\n1 1")->extension, ".pbm");
  EXPECT_EQ(MediaType("P5\n1 1"), "image/x-portable-graymap");
  EXPECT_EQ(MediaType("P5 1 1"), "image/x-portable-graymap");
  EXPECT_EQ(MediaType("P6\t1 1"), "image/x-portable-pixmap");
  EXPECT_EQ(MediaType("P7\nWIDTH"), "image/x-portable-arbitrarymap");
  EXPECT_EQ(MediaType("P6"), "text/plain");
  EXPECT_EQ(MediaType("P61"), "text/plain");
  const std::string bmp = "BM\x46\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0"s;
  EXPECT_EQ(MediaType(bmp), "image/bmp");
  EXPECT_EQ(Recognize(bmp.substr(0, 17)), nullptr);
  EXPECT_EQ(Recognize(bmp.substr(0, 14) + "\x29\0\0\0"s), nullptr);
  EXPECT_EQ(MediaType("BMW drivers' club"), "text/plain");
}

TEST(RecognizerTest, DoesNotTakeForGzipWhatHasReservedFlagsOrIsTooShort) {
  std::string reserved = kGzip;
  reserved[3] = '\x20';
  EXPECT_EQ(Recognize(reserved), nullptr);
  EXPECT_EQ(Recognize(kGzip.substr(0, 9)), nullptr);
}

TEST(RecognizerTest, KnowsBzip2ByItsBlocksOrItsEnd) {
  const std::string block = "\x31\x41\x59\x26\x53\x59", end = "\x17\x72\x45\x38\x50\x90";
  for (const std::string& magic : {block, end}) {
    for (char size = '1'; size <= '9'; ++size) {
      const Format* format = Recognize("BZh"s + size + magic);
      ASSERT_NE(format, nullptr);
      EXPECT_EQ(format->media_type, "application/x-bzip2");
      EXPECT_EQ(format->pronom, "x-fmt/268");
    }
  }
  for (const std::string& other : {"BZh0" + block, "BZh:" + block, "BZ09" + block,
                                   "BZh9" + block.substr(0, 5), "BZh9" + end.substr(1) + "x"}) {
    EXPECT_EQ(Recognize(other), nullptr) << other;
  }
}

TEST(RecognizerTest, TellsTextFromOtherBytes) {
  EXPECT_EQ(MediaType("Gr\xc3\xbc\xc3\x9f"
                      "e\n"),
            "text/plain");
  EXPECT_EQ(MediaType(std::string(kRecognizedBytes - 1, 'a') + "\xc3\xbc"), "text/plain");
  EXPECT_EQ(MediaType("ends within a charact\xe6\x97"), "application/octet-stream");
  EXPECT_EQ(MediaType("a\x01"), "application/octet-stream");
  EXPECT_EQ(MediaType("\xff\xfe"), "application/octet-stream");
  EXPECT_EQ(MediaType(""), "application/octet-stream");
}

TEST(RecognizerTest, FindsTheExtensionOfADecodedFile) {
  const std::string text = "text";
  EXPECT_EQ(DecodedExtension(*Recognize(kGzip), "dir/x.tar.gz", ""), ".tar");
  for (const char* name : {"x.tar.bz2", "x.tgz", "x.tbz", "x.tbz2", "x.txz", "x.tar.zst"}) {
    EXPECT_EQ(DecodedExtension(*Recognize(kGzip), name, ""), ".tar") << name;
  }
  EXPECT_EQ(DecodedExtension(*Recognize(kGzip), "x.gz", text), ".txt");
  EXPECT_EQ(DecodedExtension(*Recognize(kGzip), "x", text), ".txt");
  EXPECT_EQ(DecodedExtension(*Recognize(kGzip), "v1.2/x.gz", "\x01"), "");
  EXPECT_EQ(DecodedExtension(*Recognize(kGzip), "x.we ird.gz", "\x01"), "");
  EXPECT_EQ(DecodedExtension(*Recognize(kGzip), "x.json.gz", text), ".json");
  EXPECT_EQ(DecodedExtension(*Recognize("fLaC"), "x.live.flac", "RIFF\x24\0\0\0WAVEfmt "s), ".wav");
  EXPECT_EQ(DecodedExtension(*Recognize("\x89PNG\r\n\x1a\n"), "x.v2.png", "P6\n1 1\n255\nabc"),
            ".ppm");
}

}  // namespace
}  // namespace vxa
