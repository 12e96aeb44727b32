#include "client/file_reader.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace vxa::client {
namespace {

constexpr size_t kBlock = size_t{1} << 20;  // bytes in one message
constexpr mode_t kPermissions = 07777;

}  // namespace

absl::StatusOr<std::unique_ptr<FileReader>> FileReader::Open(const std::string& path,
                                                             v1::Source* source) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return absl::ErrnoToStatus(errno, absl::StrCat("can't open ", path));
  auto reader = std::make_unique<FileReader>(fd, path);
  reader->owned_ = true;
  struct stat info;
  if (fstat(fd, &info) != 0) return absl::ErrnoToStatus(errno, absl::StrCat("can't stat ", path));
  if (S_ISDIR(info.st_mode)) {
    return absl::InvalidArgumentError(absl::StrCat(path, " is a directory; an object is one file"));
  }
  source->set_path(path);
  if (S_ISREG(info.st_mode)) {
    reader->size_ = static_cast<uint64_t>(info.st_size);
    source->set_mode(info.st_mode & kPermissions);
    source->mutable_modified()->set_seconds(info.st_mtim.tv_sec);
    source->mutable_modified()->set_nanos(static_cast<int32_t>(info.st_mtim.tv_nsec));
  }
  return reader;
}

FileReader::FileReader(int fd, std::string name)
    : fd_(fd), name_(std::move(name)), buffer_(kBlock, '\0') {}

FileReader::~FileReader() {
  if (owned_) close(fd_);
}

absl::StatusOr<std::string_view> FileReader::Next() {
  size_t filled = 0;
  while (filled < buffer_.size()) {
    const ssize_t got = read(fd_, buffer_.data() + filled, buffer_.size() - filled);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return absl::ErrnoToStatus(errno, absl::StrCat("can't read ", name_));
    if (got == 0) break;
    filled += static_cast<size_t>(got);
  }
  done_ += filled;
  if (progress_) progress_(done_, size_);
  return std::string_view(buffer_).substr(0, filled);
}

}  // namespace vxa::client
