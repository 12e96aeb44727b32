// What a decoder says of itself (decoders/README.md), and which arguments it takes by that. All of
// it are claims of whoever made its file, which may be anybody.
#ifndef ARCHIVE_DECODER_NOTE_H_
#define ARCHIVE_DECODER_NOTE_H_

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "archive/digest.h"

namespace vxa {

struct OutputType {
  std::string media_type;
  std::string extension;  // with its dot
};

// Its texts are UTF-8 without control characters; what is empty wasn't said.
struct DecoderNote {
  struct Parameter {
    std::string syntax;                // "--restore", "--scale=2|4|8", "--seconds=N"
    std::optional<OutputType> output;  // if it is another one with it
    std::string description;
    bool preview = false;  // it gives only part of the content, or a reduced one
  };
  struct Patch {
    std::string name;
    Digest digest;
  };
  struct Source {
    std::string name;
    std::string version;
    std::string license;           // an SPDX expression
    std::string file;              // the tarball, if it names one
    std::optional<Digest> digest;  // its
    std::vector<Patch> patches;
  };

  std::optional<OutputType> output;  // if it is always the same
  std::vector<Parameter> parameters;
  std::vector<Source> sources;
  std::string kit;
  std::string compiler;
};

// Of the lines of its note (vx::NoteText). Those that aren't as they should be are left out.
DecoderNote ParseDecoderNote(std::string_view lines);

// What a decoder makes with some arguments, as far as it says so.
struct ClaimedOutput {
  std::optional<OutputType> type;
  bool preview = false;
};

// INVALID_REQUEST, saying what the decoder takes, unless each of `added` is one of its parameters,
// and given once, counting `present`, the arguments that it gets anyway. The rules are those of
// decoders/sdk/args.h.
absl::StatusOr<ClaimedOutput> CheckParameters(const DecoderNote& note,
                                              std::span<const std::string> present,
                                              std::span<const std::string> added);

}  // namespace vxa

#endif  // ARCHIVE_DECODER_NOTE_H_
