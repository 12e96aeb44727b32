// What a file is, by its first bytes.
#ifndef ARCHIVE_RECOGNIZER_H_
#define ARCHIVE_RECOGNIZER_H_

#include <string>
#include <string_view>

namespace vxa {

// A file format that is known by its signature.
struct Format {
  std::string_view name;
  std::string_view media_type;
  std::string_view pronom;     // id in The National Archives' registry; empty where it has several
  std::string_view extension;  // of a file of this format
  bool compressed;             // encoding it again isn't worth trying
  bool (*matches)(std::string_view head);
  // How to get its simple form, where there is a decoder: a built-in's name and its argument
  // (empty: none). All of the object goes through it.
  std::string_view decoder;
  std::string_view argument;
  // Whether that is another format of the same content, and not what was packed into it.
  bool converts = false;
  std::string_view codec = "";  // the codec for files of this format, where there is one of its own
};

// How many bytes of a file Recognize looks at.
inline constexpr size_t kRecognizedBytes = 4096;

// The format of a file that begins with `head`, or null.
const Format* Recognize(std::string_view head);

// By format, else "text/plain" for what looks like text, else "application/octet-stream".
std::string MediaType(std::string_view head);

// The extension of the decoded form, which begins with `head`, of an object in `format` that is
// called `name`: what is left of the name's without its last ("x.tar.gz" -> ".tar", "x.tgz" ->
// ".tar", "x.tbz2" -> ".tar"), unless the format converts; else the usual one of `head`'s format,
// which may be none.
std::string DecodedExtension(const Format& format, std::string_view name, std::string_view head);

}  // namespace vxa

#endif  // ARCHIVE_RECOGNIZER_H_
