#include "archive/env.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdio>
#include <cstring>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "archive/errors.h"
#include "archive/text.h"

namespace vxa {
namespace {

class Descriptor : public Held {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() override { close(fd_); }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }

 private:
  int fd_;
};

class RealFile : public File {
 public:
  RealFile(int fd, std::string path) : fd_(fd), path_(std::move(path)) {}

  absl::StatusOr<uint64_t> Size() const override {
    struct stat info;
    if (fstat(fd_.get(), &info) != 0) return CallFailed("fstat", path_, errno);
    return static_cast<uint64_t>(info.st_size);
  }

  absl::Status Read(uint64_t offset, std::span<char> buffer) const override {
    size_t done = 0;
    while (done < buffer.size()) {
      ssize_t got = pread(fd_.get(), buffer.data() + done, buffer.size() - done,
                          static_cast<off_t>(offset + done));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return CallFailed("read", path_, errno);
      if (got == 0) {
        return absl::OutOfRangeError(absl::StrCat("read ", path_, ": it ends at offset ",
                                                  offset + done, ", ", buffer.size() - done,
                                                  " bytes early"));
      }
      done += static_cast<size_t>(got);
    }
    return absl::OkStatus();
  }

  absl::Status Write(uint64_t offset, std::span<const std::string_view> pieces) override {
    std::vector<iovec> vectors;
    for (std::string_view piece : pieces) {
      if (!piece.empty()) vectors.push_back({const_cast<char*>(piece.data()), piece.size()});
    }
    for (size_t first = 0; first < vectors.size();) {
      int count = static_cast<int>(std::min<size_t>(vectors.size() - first, IOV_MAX));
      ssize_t put = pwritev(fd_.get(), &vectors[first], count, static_cast<off_t>(offset));
      if (put < 0 && errno == EINTR) continue;
      if (put < 0) return CallFailed("write", path_, errno);
      offset += static_cast<uint64_t>(put);
      for (size_t left = static_cast<size_t>(put); left > 0;) {
        size_t step = std::min(left, vectors[first].iov_len);
        vectors[first].iov_base = static_cast<char*>(vectors[first].iov_base) + step;
        vectors[first].iov_len -= step;
        left -= step;
        if (vectors[first].iov_len == 0) ++first;
      }
    }
    return absl::OkStatus();
  }

  absl::Status Sync() override {
    if (fdatasync(fd_.get()) != 0) return CallFailed("fdatasync", path_, errno);
    return absl::OkStatus();
  }

 private:
  Descriptor fd_;
  std::string path_;
};

class RealEnv : public Env {
 public:
  absl::StatusOr<std::unique_ptr<File>> OpenForReading(const std::string& path) override {
    return Open(path, O_RDONLY);
  }
  absl::StatusOr<std::unique_ptr<File>> OpenForWriting(const std::string& path) override {
    return Open(path, O_RDWR);
  }
  absl::StatusOr<std::unique_ptr<File>> Create(const std::string& path) override {
    return Open(path, O_RDWR | O_CREAT | O_TRUNC);
  }

  absl::Status MakeDirectory(const std::string& path) override {
    if (mkdir(path.c_str(), 0777) != 0 && errno != EEXIST) return CallFailed("mkdir", path, errno);
    return absl::OkStatus();
  }

  absl::StatusOr<std::vector<std::string>> List(const std::string& directory) override {
    std::unique_ptr<DIR, int (*)(DIR*)> dir(opendir(directory.c_str()), closedir);
    if (dir == nullptr) return CallFailed("opendir", directory, errno);
    std::vector<std::string> names;
    for (;;) {
      errno = 0;
      const dirent* entry = readdir(dir.get());
      if (entry == nullptr) break;
      if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
        names.emplace_back(entry->d_name);
      }
    }
    if (errno != 0) return CallFailed("readdir", directory, errno);
    return names;
  }

  absl::Status Rename(const std::string& from, const std::string& to) override {
    if (rename(from.c_str(), to.c_str()) != 0) return CallFailed("rename", from, errno);
    return absl::OkStatus();
  }

  absl::Status Remove(const std::string& path) override {
    if (remove(path.c_str()) != 0) return CallFailed("remove", path, errno);
    return absl::OkStatus();
  }

  absl::Status SyncDirectory(const std::string& path) override {
    int fd = open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return CallFailed("open", path, errno);
    Descriptor directory(fd);
    if (fsync(fd) != 0) return CallFailed("fsync", path, errno);
    return absl::OkStatus();
  }

  absl::StatusOr<uint64_t> FreeSpace(const std::string& path) override {
    struct statvfs info;
    if (statvfs(path.c_str(), &info) != 0) return CallFailed("statvfs", path, errno);
    return static_cast<uint64_t>(info.f_bavail) * info.f_frsize;
  }

  absl::StatusOr<std::unique_ptr<Held>> Lock(const std::string& path) override {
    int fd = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (fd < 0) return CallFailed("open", path, errno);
    auto held = std::make_unique<Descriptor>(fd);
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
      if (errno != EWOULDBLOCK) return CallFailed("flock", path, errno);
      return absl::FailedPreconditionError(absl::StrCat(path, " is locked"));
    }
    return held;
  }

 private:
  absl::StatusOr<std::unique_ptr<File>> Open(const std::string& path, int flags) {
    int fd = open(path.c_str(), flags | O_CLOEXEC, 0666);
    if (fd < 0) return CallFailed("open", path, errno);
    return std::make_unique<RealFile>(fd, path);
  }
};

}  // namespace

absl::Status CallFailed(std::string_view call, const std::string& path, int error) {
  std::string text =
      absl::StrCat(Absl(call), " ", path, ": ", std::generic_category().message(error));
  if (error == ENOENT) return absl::NotFoundError(text);
  if (error == ENOSPC || error == EDQUOT) return Error(Reason::kDiskFull, text);
  return Error(Reason::kStoreFailed, text);
}

Env& Env::Real() {
  static RealEnv* env = new RealEnv;
  return *env;
}

absl::StatusOr<std::unique_ptr<File>> WriteAtomically(Env& env, const std::string& directory,
                                                      const std::string& name,
                                                      std::string_view content) {
  const std::string path = absl::StrCat(directory, "/", name);
  const std::string temporary = absl::StrCat(path, Absl(kTemporarySuffix));
  absl::StatusOr<std::unique_ptr<File>> file = env.Create(temporary);
  if (!file.ok()) return file.status();
  absl::Status status = (*file)->Write(0, {{content}});
  if (status.ok()) status = (*file)->Sync();
  if (status.ok()) status = env.Rename(temporary, path);
  if (status.ok()) status = env.SyncDirectory(directory);
  if (!status.ok()) return status;
  return file;
}

}  // namespace vxa
