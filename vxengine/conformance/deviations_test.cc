// Every deviation from the oracles is one that MACHINE.md tells of, where it says so.
#include "vxengine/conformance/deviations.h"

#include <gtest/gtest.h>

#include <fstream>
#include <functional>
#include <map>
#include <string>

#include "vxengine/conformance/fp_forms.h"
#include "vxengine/conformance/qemu_differences.h"

namespace vx::conformance {
namespace {

// The sections by heading, their lines joined.
std::map<std::string, std::string, std::less<>> Sections(const std::string& path) {
  std::map<std::string, std::string, std::less<>> sections;
  std::ifstream file(path);
  std::string* section = &sections[""];
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("## ")) {
      section = &sections[line.substr(3)];
    } else {
      *section += line + " ";
    }
  }
  return sections;
}

TEST(CitationsTest, AreInTheMachinesDefinition) {
  const auto sections = Sections("vxengine/MACHINE.md");
  for (const auto& citations : {DeviationCitations(), FpDeviationCitations(), QemuCitations()}) {
    EXPECT_FALSE(citations.empty());
    for (const Citation& citation : citations) {
      const auto section = sections.find(citation.heading);
      ASSERT_NE(section, sections.end()) << citation.heading;
      EXPECT_FALSE(citation.words.empty());
      EXPECT_NE(section->second.find(citation.words), std::string::npos)
          << "not in \"" << citation.heading << "\": " << citation.words;
    }
  }
}

}  // namespace
}  // namespace vx::conformance
