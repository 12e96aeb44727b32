#include "server/options.h"

#include <gtest/gtest.h>

#include <utility>
#include <variant>
#include <vector>

namespace vxa {
namespace {

template <class Options>
struct Parsed {
  bool go_on = false;
  Options options;
  Exit exit;
};

// Fails unless it is the command that has these options, where it is one.
template <class Options = ServerOptions>
Parsed<Options> Parse(std::vector<const char*> arguments) {
  arguments.insert(arguments.begin(), "vxad");
  Parsed<Options> parsed;
  Command command;
  parsed.go_on =
      ParseOptions(static_cast<int>(arguments.size()), arguments.data(), &command, &parsed.exit);
  if (!parsed.go_on) return parsed;
  parsed.go_on = std::holds_alternative<Options>(command);
  EXPECT_TRUE(parsed.go_on) << "another command: " << command.index();
  if (parsed.go_on) parsed.options = std::get<Options>(command);
  return parsed;
}

TEST(Options, NeedOnlyTheDirectory) {
  const auto parsed = Parse({"--data", "d"});
  ASSERT_TRUE(parsed.go_on) << parsed.exit.text;
  EXPECT_EQ(parsed.options.data, "d");
  EXPECT_EQ(parsed.options.listen, "127.0.0.1:7420");
  EXPECT_EQ(parsed.options.grace, absl::Seconds(10));
  EXPECT_EQ(parsed.options.max_streams, 32);
  EXPECT_EQ(parsed.options.client_streams, 24);
}

TEST(Options, AreAllTaken) {
  const auto parsed =
      Parse({"--data=d", "--listen=[::1]:0", "--worker=w", "--require-jail", "--grace=0.5",
             "--max-streams=8", "--client-streams=5", "--decodes=3", "--decode-queue=7",
             "--decode-memory=100M", "--decode-output=1G", "--decode-diagnostics=1K",
             "--decode-cpu=90", "--decode-stall=2.5", "--pack-size=20M"});
  ASSERT_TRUE(parsed.go_on) << parsed.exit.text;
  EXPECT_EQ(parsed.options.listen, "[::1]:0");
  EXPECT_EQ(parsed.options.worker, "w");
  EXPECT_TRUE(parsed.options.require_jail);
  EXPECT_EQ(parsed.options.grace, absl::Milliseconds(500));
  EXPECT_EQ(parsed.options.max_streams, 8);
  EXPECT_EQ(parsed.options.client_streams, 5);
  const DecodeLimits& decodes = parsed.options.decodes;
  EXPECT_EQ(decodes.concurrent, 3);
  EXPECT_EQ(decodes.queue, 7);
  EXPECT_EQ(decodes.memory, uint64_t{100} << 20);
  EXPECT_EQ(decodes.output, uint64_t{1} << 30);
  EXPECT_EQ(decodes.diagnostics, 1024u);
  EXPECT_EQ(decodes.cpu_time, absl::Seconds(90));
  EXPECT_EQ(decodes.stalled, absl::Milliseconds(2500));
  EXPECT_EQ(parsed.options.pack_size, uint64_t{20} << 20);
}

TEST(Options, ThatAreWrongEndWithOneLineAndStatusTwo) {
  const std::vector<const char*> kWrong[] = {
      {},
      {"--data"},
      {"--data", "d", "--frobnicate"},
      {"--data", "d", "extra"},
      {"--data", "d", "--grace", "-1"},
      {"--data", "d", "--grace", "soon"},
      {"--data", "d", "--max-streams", "0"},
      {"--data", "d", "--pack-size", "16777215"},
      {"--data", "d", "--pack-size", "large"},
      {"--data", "d", "--decodes", "0"},
      {"--data", "d", "--decode-memory", "1M"},
      {"--data", "d", "--decode-diagnostics", "65K"},
      {"--data", "d", "--decode-cpu", "0"},
      {"--data", "d", "--listen", "127.0.0.1"},
      {"fsck"},
      {"fsck", "--data"},
      {"fsck", "--data", "d", "--listen", "127.0.0.1:1"},
      {"--listen", "127.0.0.1:1", "fsck", "--data", "d"},
      {"fsck", "--data", "d", "rebuild-index"},
      {"rebuild-index"},
      {"rebuild-index", "--data", "d", "--json"},
      {"decoder", "--data", "d"},
      {"decoder", "--data", "d", "approve"},
      {"decoder", "--data", "d", "bless", "01234567"},
      {"decoder", "approve", "01234567"},
      {"decoder", "--data", "d", "approve", "01234567", "89abcdef"},
  };
  for (const auto& arguments : kWrong) {
    const auto parsed = Parse(arguments);
    EXPECT_FALSE(parsed.go_on);
    EXPECT_EQ(parsed.exit.status, 2);
    EXPECT_EQ(parsed.exit.text.find('\n'), parsed.exit.text.size() - 1) << parsed.exit.text;
  }
}

TEST(Options, OfCommandsAreTakenAndDataMayStandBeforeThem) {
  const auto fsck = Parse<FsckOptions>({"fsck", "--data", "d", "--decode", "--json", "--worker=w"});
  EXPECT_EQ(fsck.options.data, "d");
  EXPECT_TRUE(fsck.options.decode && fsck.options.json);
  EXPECT_EQ(fsck.options.worker, "w");
  const auto plain = Parse<FsckOptions>({"--data", "d", "fsck"});
  EXPECT_EQ(plain.options.data, "d");
  EXPECT_FALSE(plain.options.decode || plain.options.json);
  EXPECT_EQ(Parse<RebuildIndexOptions>({"rebuild-index", "--data", "d"}).options.data, "d");
}

TEST(Options, OfRulingsNameRulingDecoderAndReason) {
  using Ruling = RulingOptions::Ruling;
  const std::pair<const char*, Ruling> kRulings[] = {{"approve", Ruling::kApprove},
                                                     {"unapprove", Ruling::kUnapprove},
                                                     {"disable", Ruling::kDisable},
                                                     {"enable", Ruling::kEnable}};
  for (const auto& [word, ruling] : kRulings) {
    const auto parsed =
        Parse<RulingOptions>({"decoder", "--data", "d", word, "0123abcd", "--reason", "so"});
    ASSERT_TRUE(parsed.go_on) << parsed.exit.text;
    EXPECT_EQ(parsed.options.ruling, ruling) << word;
    EXPECT_EQ(parsed.options.id, "0123abcd");
    EXPECT_EQ(parsed.options.reason, "so");
  }
}

TEST(Options, HelpAndVersionAreNoErrors) {
  for (const char* flag : {"--help", "--version"}) {
    const auto parsed = Parse({flag});
    EXPECT_FALSE(parsed.go_on);
    EXPECT_EQ(parsed.exit.status, 0);
    EXPECT_NE(parsed.exit.text.find("vxad"), std::string::npos);
  }
  for (const char* command : {"fsck", "rebuild-index", "decoder"}) {
    const auto parsed = Parse({command, "--help"});
    EXPECT_EQ(parsed.exit.status, 0);
    EXPECT_NE(parsed.exit.text.find("Exit status"), std::string::npos) << parsed.exit.text;
  }
}

TEST(CheckAddress, TakesHostsPortsAndUnixPaths) {
  for (const char* good :
       {"127.0.0.1:0", "localhost:7420", "[::]:65535", "unix:/tmp/x", "unix:x"}) {
    EXPECT_TRUE(CheckAddress(good).ok()) << good;
  }
}

TEST(CheckAddress, RefusesWhatIsNone) {
  for (const char* bad : {"", ":", ":1", "host", "host:", "host:65536", "host:-1", "host:+1",
                          "host: 1", "host:0x1", "::1:80", "http://host:80", "unix:"}) {
    EXPECT_EQ(CheckAddress(bad).code(), absl::StatusCode::kInvalidArgument) << bad;
  }
  EXPECT_FALSE(CheckAddress("unix:" + std::string(108, 'x')).ok());
}

}  // namespace
}  // namespace vxa
