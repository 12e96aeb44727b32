#include "client/outputs.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "client/names.h"

namespace vxa::client {
namespace {

// The temporary file's path for the signal handler, which may not take a lock or allocate. Set
// before the file is made, cleared after it is gone.
char signal_path[4096];
std::atomic<bool> signal_path_set = false;

void RemoveAndEnd(int signal_number) {
  if (signal_path_set) unlink(signal_path);
  signal(signal_number, SIG_DFL);
  raise(signal_number);
}

absl::Status Failed(const char* what, const std::string& path) {
  return absl::ErrnoToStatus(errno, absl::StrCat("can't ", what, " ", path));
}

absl::Status WriteAll(int fd, std::string_view bytes, const std::string& name) {
  while (!bytes.empty()) {
    const ssize_t written = write(fd, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    // Not ErrnoToStatus: a closed pipe would be a FAILED_PRECONDITION, which it isn't to callers.
    if (written < 0)
      return absl::UnknownError(absl::StrCat("can't write ", name, ": ", std::strerror(errno)));
    bytes.remove_prefix(static_cast<size_t>(written));
  }
  return absl::OkStatus();
}

std::string DirectoryOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  return slash == std::string::npos ? "." : path.substr(0, slash + 1);
}

// What open(2) would give a new file. There is no way to ask for the umask but to set it.
mode_t NewFileMode() {
  const mode_t mask = umask(0);
  umask(mask);
  return 0666 & ~mask;
}

absl::Status SyncDirectory(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return Failed("open", path);
  const int failed = fsync(fd);
  // Some file systems can't sync a directory and say EINVAL.
  absl::Status status = failed != 0 && errno != EINVAL ? Failed("sync", path) : absl::OkStatus();
  close(fd);
  return status;
}

absl::Status Exists(const std::string& path) {
  return absl::AlreadyExistsError(absl::StrCat(path, " exists; --force replaces it"));
}

}  // namespace

void RemoveTemporaryOnSignal() {
  struct sigaction action = {};
  action.sa_handler = RemoveAndEnd;
  action.sa_flags = SA_RESETHAND;
  for (int number : {SIGINT, SIGTERM, SIGHUP}) {
    struct sigaction old;
    // What nohup(1) ignores stays ignored.
    if (sigaction(number, nullptr, &old) == 0 && old.sa_handler == SIG_IGN) continue;
    sigaction(number, &action, nullptr);
  }
}

absl::Status FdWriter::Append(std::string_view bytes) { return WriteAll(fd_, bytes, name_); }

FileWriter::~FileWriter() {
  if (fd_ >= 0) close(fd_);
  if (temporary_.empty()) return;
  unlink(temporary_.c_str());
  signal_path_set = false;
}

absl::Status FileWriter::Begin(const v1::ReadObjectMetadata& metadata) {
  size_ = metadata.size();
  absl::StatusOr<std::string> path = target_(metadata);
  if (!path.ok()) return path.status();
  path_ = *std::move(path);
  struct stat info;
  const bool there = lstat(path_.c_str(), &info) == 0;
  const bool special = there && stat(path_.c_str(), &info) == 0 && !S_ISREG(info.st_mode);
  if (special && S_ISDIR(info.st_mode)) {
    return absl::FailedPreconditionError(absl::StrCat(path_, " is a directory"));
  }
  if (special) {
    direct_ = true;
    fd_ = open(path_.c_str(), O_WRONLY | O_CLOEXEC);
    return fd_ >= 0 ? absl::OkStatus() : Failed("open", path_);
  }
  if (there && !force_) return Exists(path_);
  return MakeTemporary();
}

absl::Status FileWriter::MakeTemporary() {
  // A short name of its own: the target's may be as long as the file system allows.
  std::string path = absl::StrCat(DirectoryOf(path_),
                                  path_.find('/') == std::string::npos ? "/" : "", ".vxa-XXXXXX");
  if (path.size() >= sizeof signal_path) {
    errno = ENAMETOOLONG;
    return Failed("create", path_);
  }
  sigset_t all, old;
  sigfillset(&all);
  // Between the file's making and its being known no signal may come.
  pthread_sigmask(SIG_BLOCK, &all, &old);
  fd_ = mkostemp(path.data(), O_CLOEXEC);
  if (fd_ >= 0) {
    temporary_ = path;
    std::memcpy(signal_path, path.c_str(), path.size() + 1);
    signal_path_set = true;
  }
  const int error = errno;
  pthread_sigmask(SIG_SETMASK, &old, nullptr);
  errno = error;
  return fd_ >= 0 ? absl::OkStatus() : Failed("create a file beside", path_);
}

absl::Status FileWriter::Append(std::string_view bytes) {
  absl::Status status = WriteAll(fd_, bytes, path_);
  done_ += bytes.size();
  if (progress_) progress_(done_, size_);
  return status;
}

absl::Status FileWriter::Commit() {
  if (direct_) return absl::OkStatus();
  if (fchmod(fd_, NewFileMode()) != 0) return Failed("set the mode of", temporary_);
  if (fsync(fd_) != 0) return Failed("sync", temporary_);
  const int failed = renameat2(AT_FDCWD, temporary_.c_str(), AT_FDCWD, path_.c_str(),
                               force_ ? 0 : RENAME_NOREPLACE);
  if (failed != 0 && errno == EEXIST) return Exists(path_);
  if (failed != 0) return Failed("rename to", path_);
  temporary_.clear();
  signal_path_set = false;
  return SyncDirectory(DirectoryOf(path_));
}

}  // namespace vxa::client
