// What every decoder and encoder takes as arguments: that which its note says, and nothing else.
#include <gtest/gtest.h>

#include <regex>
#include <string>
#include <vector>

#include "decoders/builtin.h"
#include "decoders/testing/run_guest.h"

namespace vxa::decoders {
namespace {

struct Declared {
  std::string text;   // "--scale=2|4"
  std::string name;   // "--scale"
  std::string value;  // "2|4", "N" or ""
};

class ArgumentsTest : public testing::TestWithParam<Builtin> {
 protected:
  ArgumentsTest() {
    static const std::regex kLine("(?:parameter|preview): (--[a-z-]+)(?:=([^ ;\n]+))?[^\n]*; .+\n");
    const std::string elf(GetParam().elf);
    for (std::sregex_iterator line(elf.begin(), elf.end(), kLine), end; line != end; ++line) {
      const std::string name = (*line)[1], value = (*line)[2];
      declared_.push_back({value.empty() ? name : name + "=" + value, name, value});
    }
  }

  GuestRun Run(const std::vector<std::string>& arguments) const {
    const std::string name(GetParam().name), folder = name.substr(0, name.find("_encode"));
    return RunGuest("decoders/" + folder + "/" + name, arguments, "");
  }

  void ExpectTakes(const std::string& argument) const {
    EXPECT_EQ(Run({argument}).exit_status, 1u) << argument;  // for there is no input
  }

  void ExpectRefuses(const std::vector<std::string>& arguments, const std::string& what) const {
    std::string taken;
    for (const Declared& declared : declared_) taken += (taken.empty() ? "" : ", ") + declared.text;
    const GuestRun run = Run(arguments);
    EXPECT_EQ(run.failure, "");
    EXPECT_EQ(run.exit_status, 2u) << arguments.back();
    EXPECT_EQ(run.output, "");
    EXPECT_EQ(run.diagnostics, std::string(GetParam().name) +
                                   (taken.empty() ? ": takes no arguments\n"
                                                  : ": " + what + " argument " + arguments.back() +
                                                        "; takes " + taken + "\n"));
  }

  std::vector<std::string> Values(const Declared& declared) const {
    if (declared.value.empty()) return {""};
    if (declared.value == "N") return {"=1", "=90", "=18446744073709551615"};
    std::vector<std::string> values;
    static const std::regex kOne("[^|]+");
    for (std::sregex_iterator one(declared.value.begin(), declared.value.end(), kOne), end;
         one != end; ++one) {
      values.push_back("=" + one->str());
    }
    return values;
  }

  std::vector<Declared> declared_;
};

TEST_P(ArgumentsTest, TakesWhatItsNoteSays) {
  for (const Declared& declared : declared_) {
    for (const std::string& value : Values(declared)) ExpectTakes(declared.name + value);
  }
}

TEST_P(ArgumentsTest, TakesNothingElse) {
  for (const char* argument : {"", "-", "--", "-h", "--no-such", "--no-such=1", "x"}) {
    ExpectRefuses({argument}, "unknown");
  }
  for (const Declared& declared : declared_) {
    ExpectRefuses({declared.name.substr(1)}, "unknown");
    ExpectRefuses({declared.name.substr(0, declared.name.size() - 1)}, "unknown");
    ExpectRefuses({declared.name + "x"}, "unknown");
    ExpectRefuses({declared.name + "="}, "unknown");
    if (!declared.value.empty()) ExpectRefuses({declared.name}, "unknown");
    for (const std::string& value : Values(declared)) {
      ExpectRefuses({declared.name + (value.empty() ? "=" : value) + "x"}, "unknown");
    }
    for (const char* value : {"=0", "=01", "=-1", "=+1", "= 1", "=1 ", "=18446744073709551616",
                              "=99999999999999999999", "=N", "=|"}) {
      ExpectRefuses({declared.name + value}, "unknown");
    }
  }
}

TEST_P(ArgumentsTest, TakesEachOnce) {
  for (const Declared& declared : declared_) {
    for (const std::string& value : Values(declared)) {
      ExpectRefuses({declared.name + Values(declared)[0], declared.name + value}, "repeated");
    }
  }
}

std::string Name(const testing::TestParamInfo<Builtin>& info) {
  return std::string(info.param.name);
}

INSTANTIATE_TEST_SUITE_P(Decoders, ArgumentsTest, testing::ValuesIn(Builtins()), Name);
INSTANTIATE_TEST_SUITE_P(Encoders, ArgumentsTest, testing::ValuesIn(Encoders()), Name);

}  // namespace
}  // namespace vxa::decoders
