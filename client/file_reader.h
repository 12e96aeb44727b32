// Reads a file, or whatever a descriptor gives, for Client::Put.
#ifndef CLIENT_FILE_READER_H_
#define CLIENT_FILE_READER_H_

#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "client/client.h"

namespace vxa::client {

class FileReader : public Reader {
 public:
  // A regular file, a pipe or a device; a directory is refused. Fills in `source`'s path as given,
  // and for a regular file its time and mode.
  static absl::StatusOr<std::unique_ptr<FileReader>> Open(const std::string& path,
                                                          v1::Source* source);

  // Doesn't close `fd`; `name` is what messages call it.
  FileReader(int fd, std::string name);
  ~FileReader() override;

  absl::StatusOr<std::string_view> Next() override;

  // Called after each read with the bytes read so far and the file's size (0: unknown).
  void OnProgress(std::function<void(uint64_t done, uint64_t size)> progress) {
    progress_ = std::move(progress);
  }

 private:
  const int fd_;
  const std::string name_;
  bool owned_ = false;
  uint64_t size_ = 0;
  uint64_t done_ = 0;
  std::string buffer_;
  std::function<void(uint64_t, uint64_t)> progress_;
};

}  // namespace vxa::client

#endif  // CLIENT_FILE_READER_H_
