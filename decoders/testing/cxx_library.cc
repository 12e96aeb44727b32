// C++ as guests may have it: writes the words of its input in order, each once, with how often it
// was there. With an argument it does what would throw.
#include <unistd.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

namespace {

struct Sink {
  virtual ~Sink() = default;
  virtual void Put(std::string_view text) = 0;
};

struct Output final : Sink {
  void Put(std::string_view text) override { write(1, text.data(), text.size()); }
};

// Made before main().
const std::string kBlanks = std::string(" ") + "\n";

Sink& TheSink() {
  static Sink* const sink = new Output;
  return *sink;
}

}  // namespace

int main(int argc, char** argv) {
  std::string input;
  char bytes[100];
  for (int n; (n = read(0, bytes, sizeof bytes)) > 0;) input.append(bytes, n);
  if (argc > 1) return input.at(input.size());
  std::vector<std::string> words;
  for (size_t at = 0; (at = input.find_first_not_of(kBlanks, at)) != std::string::npos;) {
    const size_t end = std::min(input.find_first_of(kBlanks, at), input.size());
    words.push_back(input.substr(at, end - at));
    at = end;
  }
  std::sort(words.begin(), words.end());
  words.erase(std::unique(words.begin(), words.end()), words.end());
  for (const std::string& word : words) TheSink().Put(word + "\n");
  return 0;
}
