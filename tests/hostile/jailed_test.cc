// All attacks on the decode service: in jailed workers. --no-layers: as where a system grants none.
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <string_view>

#include "absl/strings/match.h"
#include "tests/hostile/attacks.h"
#include "tests/hostile/canaries.h"
#include "tests/hostile/streams.h"

namespace vx::hostile {
namespace {

bool try_layers = true;

class JailedTest : public ::testing::TestWithParam<NamedTable> {};

TEST_P(JailedTest, EndsAsItHasTo) {
  const Table table = GetParam().make();
  const auto service = *NewWorkerDecodeService(*FindWorker(), {.try_layers = try_layers});
  // One worker has all of them, as far as their limits let it.
  const auto session = service->NewSession();
  StringSink output;
  const auto decode = [&](const std::string& input, const Limits& limits) {
    StringSource source(input);
    output.bytes.clear();
    return service->Decode({.decoder = table.elf, .limits = limits, .session = session.get()},
                           source, output);
  };
  const auto copy = [&] {
    const auto result = decode(table.copy + "good bytes", {});
    ASSERT_TRUE(result.ok()) << result.status();
    EXPECT_EQ(result->description, "exit status 0");
    EXPECT_EQ(output.bytes, "good bytes");
  };
  copy();
  const Canaries canaries(Canaries::Descriptors::kMayChange);  // with zygotes
  for (const Attack& attack : table.attacks) {
    SCOPED_TRACE(attack.name);
    const auto result = decode(attack.input, attack.limits);
    ASSERT_TRUE(result.ok()) << result.status();
    EXPECT_EQ(output.bytes, attack.output);
    if (result->outcome.end == Outcome::End::kLimited) {
      EXPECT_TRUE(absl::StartsWith(result->description, attack.expected)) << result->description;
    } else {
      EXPECT_EQ(result->description, attack.expected);
    }
    copy();
    ASSERT_EQ(canaries.Damage(), "");
    if (HasFailure()) break;
  }
  EXPECT_EQ(canaries.DamageOfFiles(), "");
}

INSTANTIATE_TEST_SUITE_P(Attacks, JailedTest, ::testing::ValuesIn(kTables),
                         [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace vx::hostile

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  if (argc > 1 && std::string_view(argv[1]) == "--no-layers") vx::hostile::try_layers = false;
  return RUN_ALL_TESTS();
}
