#include "server/options.h"

#include <gtest/gtest.h>

#include <vector>

namespace vxa {
namespace {

struct Parsed {
  bool go_on;
  ServerOptions options;
  Exit exit;
};

Parsed Parse(std::vector<const char*> arguments) {
  arguments.insert(arguments.begin(), "vxad");
  Parsed parsed;
  parsed.go_on = ParseOptions(static_cast<int>(arguments.size()), arguments.data(), &parsed.options,
                              &parsed.exit);
  return parsed;
}

TEST(Options, NeedOnlyTheDirectory) {
  const Parsed parsed = Parse({"--data", "d"});
  ASSERT_TRUE(parsed.go_on) << parsed.exit.text;
  EXPECT_EQ(parsed.options.data, "d");
  EXPECT_EQ(parsed.options.listen, "127.0.0.1:7420");
  EXPECT_EQ(parsed.options.grace, absl::Seconds(10));
}

TEST(Options, AreAllTaken) {
  const Parsed parsed = Parse({"--data=d", "--listen=[::1]:0", "--worker=w", "--grace=0.5",
                               "--max-streams=2", "--decodes=3", "--pack-size=20M"});
  ASSERT_TRUE(parsed.go_on) << parsed.exit.text;
  EXPECT_EQ(parsed.options.listen, "[::1]:0");
  EXPECT_EQ(parsed.options.worker, "w");
  EXPECT_EQ(parsed.options.grace, absl::Milliseconds(500));
  EXPECT_EQ(parsed.options.max_streams, 2);
  EXPECT_EQ(parsed.options.decodes, 3);
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
      {"--data", "d", "--listen", "127.0.0.1"},
  };
  for (const auto& arguments : kWrong) {
    const Parsed parsed = Parse(arguments);
    EXPECT_FALSE(parsed.go_on);
    EXPECT_EQ(parsed.exit.status, 2);
    EXPECT_EQ(parsed.exit.text.find('\n'), parsed.exit.text.size() - 1) << parsed.exit.text;
  }
}

TEST(Options, HelpAndVersionAreNoErrors) {
  for (const char* flag : {"--help", "--version"}) {
    const Parsed parsed = Parse({flag});
    EXPECT_FALSE(parsed.go_on);
    EXPECT_EQ(parsed.exit.status, 0);
    EXPECT_NE(parsed.exit.text.find("vxad"), std::string::npos);
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
