// Guests built by gcc and clang at several optimisation levels, each on every engine: whatever code
// a compiler makes of the same source, it must compute the same.
//
// What is right comes from elsewhere: decoders must give back what the host's libraries encoded,
// programs must print what the same source prints as a 64-bit program of the host. What comes out
// of x87 registers differs from level to level, so there it is the same objects under qemu.
#include <bzlib.h>
#include <gtest/gtest.h>
#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <map>
#include <ostream>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "decoders/testing/expect.h"
#include "decoders/testing/run_guest.h"
#include "decoders/testing/run_guest_vx.h"
#include "decoders/testing/run_native.h"
#include "vxengine/vx.h"

namespace vxa::decoders {
namespace {

struct EngineCase {
  std::string name;
  vx::Engine engine = vx::Engine::kTranslator;
  vx::Placement placement = vx::Placement::kShared;
};

const std::vector<EngineCase> kEngines = {
    {.name = "exclusive", .placement = vx::Placement::kExclusive},
    {.name = "shared"},
    {.name = "interpreter", .engine = vx::Engine::kInterpreter}};

std::string File(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::string Text(size_t length) {
  static const char* const kWords[] = {"guest ", "a",      "decoder, ", "of ",       "instructions",
                                       ".\n",    "Words ", "in ",       "registers "};
  std::string text, noise = Noise(length);
  for (size_t i = 0; text.size() < length; ++i) {
    text += kWords[static_cast<unsigned char>(noise[i]) % std::size(kWords)];
  }
  return text;
}

struct Input {
  std::string name;
  std::string bytes;
};

const std::vector<Input>& Originals() {
  static const auto& originals = *new std::vector<Input>{{"empty", ""},
                                                         {"text", Text(150000)},
                                                         {"binary", File("decoders/zlib/zlib.vx")},
                                                         {"random", Noise(50000)},
                                                         {"sample", Sample(300000)},
                                                         {"zeros", std::string(400000, '\0')}};
  return originals;
}

// As gzip, at a level of 1 to 9.
std::string Deflate(const std::string& data, int level) {
  z_stream stream = {};
  EXPECT_EQ(deflateInit2(&stream, level, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY), Z_OK);
  std::string encoded(deflateBound(&stream, data.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(data.data()));
  stream.avail_in = static_cast<uInt>(data.size());
  stream.next_out = reinterpret_cast<Bytef*>(encoded.data());
  stream.avail_out = static_cast<uInt>(encoded.size());
  EXPECT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
  encoded.resize(stream.total_out);
  deflateEnd(&stream);
  return encoded;
}

std::string Bzip2(const std::string& data, int level) {
  unsigned size = static_cast<unsigned>(data.size() + data.size() / 50 + 700);
  std::string encoded(size, '\0');
  EXPECT_EQ(BZ2_bzBuffToBuffCompress(encoded.data(), &size, const_cast<char*>(data.data()),
                                     static_cast<unsigned>(data.size()), level, 0, 0),
            BZ_OK);
  encoded.resize(size);
  return encoded;
}

std::string Zstd(const std::string& data, int level) {
  std::string encoded(ZSTD_compressBound(data.size()), '\0');
  encoded.resize(
      ZSTD_compress(encoded.data(), encoded.size(), data.data(), data.size(), 2 * level));
  return encoded;
}

// By decoder: from the original and a level of 1 to 9.
const std::map<std::string, std::string (*)(const std::string&, int)>& Encoders() {
  static const auto& encoders =
      *new std::map<std::string, std::string (*)(const std::string&, int)>{
          {"bzip2", Bzip2}, {"zlib", Deflate}, {"zstd", Zstd}};
  return encoders;
}

// A benchmark guest and what it is to do.
struct Work {
  std::string guest;
  std::vector<std::string> arguments;
  std::string input;
};

void PrintTo(const Work& work, std::ostream* out) {
  *out << work.guest;
  for (const std::string& argument : work.arguments) *out << " " << argument;
}

std::vector<Work> IntegerWork() {
  static const char kLisp[] =
      "(define (fib n) (if (< n 2) n (+ (fib (- n 1)) (fib (- n 2)))))\n"
      "(define (squares n) (if (= n 0) nil (cons (* n n) (squares (- n 1)))))\n"
      "(define (sum l) (if (null l) 0 (+ (car l) (sum (cdr l)))))\n"
      "(fib 15) (squares 9) (let l (squares 200) (% (/ (sum l) 3) 1000))\n";
  std::vector<Work> works = {{"crypt", {"2"}, Sample(50001)}, {"lisp", {}, kLisp},
                             {"lz", {}, Text(60000)},         {"lz", {}, Sample(60000)},
                             {"search", {"3", "5"}, ""},      {"words", {"2"}, Text(60000)}};
  for (const char* loop : {"recursion", "sort_callback", "matrix"}) {
    works.push_back({"micro", {loop, "3"}, ""});
  }
  for (const char* loop :
       {"empty", "direct_jump", "taken_jump", "untaken_jump", "far_jump", "direct_call",
        "indirect_call", "changing_call", "system_call", "read_byte", "write_byte", "add64",
        "multiply64", "divide64", "pointer_chase", "switch", "small_moves"}) {
    works.push_back({"micro", {loop, "1000"}, Noise(1000)});
  }
  return works;
}

std::vector<Work> FloatingPointWork() {
  return {{"dct", {"2"}, Sample(32768)}, {"fft", {"2"}, Sample(24576)}, {"nbody", {"300"}, ""}};
}

// What the source prints as a 64-bit program.
const GuestRun& Expected(const Work& work) {
  static auto& known =
      *new std::map<std::tuple<std::string, std::vector<std::string>, std::string>, GuestRun>;
  auto [entry, is_new] = known.try_emplace({work.guest, work.arguments, work.input});
  if (is_new) {
    entry->second =
        RunNative("tools/benchmarks/guests/" + work.guest + ".m64", work.arguments, work.input);
  }
  return entry->second;
}

void ExpectSame(const GuestRun& run, const GuestRun& expected) {
  EXPECT_EQ(run.failure, expected.failure);
  EXPECT_EQ(run.exit_status, expected.exit_status);
  EXPECT_EQ(run.diagnostics, expected.diagnostics);
  EXPECT_TRUE(run.output == expected.output)
      << run.output.size() << " bytes, other than the " << expected.output.size() << " expected";
}

// The compiler, and its option.
class VariantsTest : public testing::TestWithParam<std::tuple<const char*, const char*>> {
 protected:
  static std::string Guest(const std::string& guest, const std::string& suffix = "") {
    return "decoders/testing/" + guest + "." + std::get<0>(GetParam()) + "-" +
           std::get<1>(GetParam()) + suffix;
  }

  static GuestRun Run(const EngineCase& engine, const std::string& guest,
                      const std::vector<std::string>& arguments, const std::string& input) {
    return RunGuestOn(engine.engine, engine.placement, guest, arguments, input);
  }
};

TEST_P(VariantsTest, TheCLibraryPassesItsTrial) {
  for (const EngineCase& engine : kEngines) {
    SCOPED_TRACE(engine.name);
    ExpectSame(Run(engine, Guest("c_library"), {}, "three words here\n"),
               {.output = "0 failures\n"});
  }
}

TEST_P(VariantsTest, DecodersGiveBackWhatWasEncoded) {
  for (const auto& [decoder, encode] : Encoders()) {
    for (const Input& original : Originals()) {
      for (int level : {1, 9}) {
        const std::string encoded = encode(original.bytes, level);
        for (const EngineCase& engine : kEngines) {
          SCOPED_TRACE(testing::Message()
                       << decoder << " " << level << " " << original.name << " " << engine.name);
          ExpectSame(Run(engine, Guest(decoder), {}, encoded), {.output = original.bytes});
        }
      }
    }
  }
}

TEST_P(VariantsTest, DecodersSayTheSameOfDamagedInput) {
  for (const auto& [decoder, encode] : Encoders()) {
    const std::string encoded = encode(Sample(500), 9);
    for (size_t at = 0; at < encoded.size(); at += 11) {
      for (const std::string& damaged :
           {encoded.substr(0, at), FlipBit(encoded, 8 * at + at % 8)}) {
        // No variant is more right than the others; the tests of decoders tell what they must say.
        static auto& first = *new std::map<std::pair<std::string, std::string>, GuestRun>;
        for (const EngineCase& engine : kEngines) {
          SCOPED_TRACE(testing::Message() << decoder << " " << damaged.size() << " bytes, " << at
                                          << " " << engine.name);
          GuestRun run = Run(engine, Guest(decoder), {}, damaged);
          EXPECT_EQ(run.failure, "");
          ExpectSame(run, first.try_emplace({decoder, damaged}, run).first->second);
        }
      }
    }
  }
}

TEST_P(VariantsTest, IntegerProgramsComputeWhatTheHostDoes) {
  for (const Work& work : IntegerWork()) {
    ASSERT_EQ(Expected(work).failure, "");
    for (const EngineCase& engine : kEngines) {
      SCOPED_TRACE(testing::PrintToString(work) + " " + engine.name);
      ExpectSame(Run(engine, Guest(work.guest), work.arguments, work.input), Expected(work));
    }
  }
}

TEST_P(VariantsTest, FloatingPointProgramsComputeWhatTheHostDoes) {
  for (const Work& work : FloatingPointWork()) {
    ASSERT_EQ(Expected(work).failure, "");
    for (const EngineCase& engine : kEngines) {
      SCOPED_TRACE(testing::PrintToString(work) + " " + engine.name);
      ExpectSame(Run(engine, Guest(work.guest), work.arguments, work.input), Expected(work));
    }
  }
}

// As qemu has it, which computes x87's formats in integers.
TEST_P(VariantsTest, FloatingPointInX87RegistersIsWhatAnEmulatorComputes) {
  for (const Work& work : FloatingPointWork()) {
    const std::string guest = Guest(work.guest, "-x87");
    std::vector<std::string> arguments = work.arguments;
    arguments.insert(arguments.begin(), guest + ".native32");
    const GuestRun expected = RunNative("/usr/bin/qemu-i386", arguments, work.input);
    ASSERT_EQ(expected.failure, "");
    ASSERT_EQ(expected.exit_status, 0u) << expected.diagnostics;
    for (const EngineCase& engine : kEngines) {
      SCOPED_TRACE(testing::PrintToString(work) + " " + engine.name);
      ExpectSame(Run(engine, guest, work.arguments, work.input), expected);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Variants, VariantsTest,
                         testing::Combine(testing::Values("gcc", "clang"),
                                          testing::Values("O0", "O2", "O3", "Os")),
                         [](const auto& info) {
                           return std::string(std::get<0>(info.param)) + "_" +
                                  std::get<1>(info.param);
                         });

}  // namespace
}  // namespace vxa::decoders
