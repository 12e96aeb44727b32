#include "archive/index_env.h"

#include <algorithm>
#include <span>
#include <string_view>
#include <utility>

#include "archive/text.h"

namespace vxa {
namespace {

leveldb::Slice Slice(absl::string_view text) { return {text.data(), text.size()}; }

leveldb::Status ToLevelDb(const absl::Status& status) {
  if (status.ok()) return leveldb::Status::OK();
  if (absl::IsNotFound(status)) return leveldb::Status::NotFound(Slice(status.message()));
  return leveldb::Status::IOError(Slice(status.message()));
}

std::string DirectoryOf(const std::string& path) { return path.substr(0, path.rfind('/')); }
std::string_view BaseOf(std::string_view path) { return path.substr(path.rfind('/') + 1); }

// A file of a fixed size.
class ReadableFile : public leveldb::RandomAccessFile, public leveldb::SequentialFile {
 public:
  ReadableFile(std::unique_ptr<File> file, uint64_t size) : file_(std::move(file)), size_(size) {}

  leveldb::Status Read(uint64_t offset, size_t n, leveldb::Slice* result,
                       char* scratch) const override {
    const uint64_t there = offset < size_ ? std::min<uint64_t>(n, size_ - offset) : 0;
    absl::Status read = file_->Read(offset, std::span(scratch, there));
    *result = leveldb::Slice(scratch, read.ok() ? there : 0);
    return read.ok() ? leveldb::Status::OK() : leveldb::Status::Corruption(Slice(read.message()));
  }

  leveldb::Status Read(size_t n, leveldb::Slice* result, char* scratch) override {
    leveldb::Status read = Read(position_, n, result, scratch);
    position_ += result->size();
    return read;
  }

  leveldb::Status Skip(uint64_t n) override {
    position_ += std::min(n, size_ - position_);
    return leveldb::Status::OK();
  }

 private:
  const std::unique_ptr<File> file_;
  const uint64_t size_;
  uint64_t position_ = 0;
};

template <typename Result>
leveldb::Status OpenReadable(Env& env, const std::string& path, Result** result) {
  *result = nullptr;
  absl::StatusOr<std::unique_ptr<File>> file = env.OpenForReading(path);
  if (!file.ok()) return ToLevelDb(file.status());
  absl::StatusOr<uint64_t> size = (*file)->Size();
  if (!size.ok()) return ToLevelDb(size.status());
  *result = new ReadableFile(*std::move(file), *size);
  return leveldb::Status::OK();
}

// Appends through a buffer, of the size that LevelDB's own has.
class AppendedFile : public leveldb::WritableFile {
 public:
  // `directory` is synced before the file; empty: it isn't.
  AppendedFile(Env& env, std::shared_ptr<File> file, std::string directory)
      : env_(env), file_(std::move(file)), directory_(std::move(directory)) {
    buffer_.reserve(kBuffer);
  }
  ~AppendedFile() override { Flush(); }

  leveldb::Status Append(const leveldb::Slice& data) override {
    const std::string_view bytes(data.data(), data.size());
    if (buffer_.size() + bytes.size() <= kBuffer) {
      buffer_.append(bytes);
      return leveldb::Status::OK();
    }
    return WriteOut(bytes);
  }
  leveldb::Status Close() override { return Flush(); }
  leveldb::Status Flush() override { return buffer_.empty() ? failed_ : WriteOut(""); }
  leveldb::Status Sync() override {
    if (!directory_.empty()) {
      if (absl::Status synced = env_.SyncDirectory(directory_); !synced.ok()) {
        return ToLevelDb(synced);
      }
    }
    leveldb::Status flushed = Flush();
    return flushed.ok() ? ToLevelDb(file_->Sync()) : flushed;
  }

 private:
  static constexpr size_t kBuffer = 65536;  // bytes

  // Writes the buffer and what follows it. After an error nothing more is written: LevelDB would go
  // on behind a gap.
  leveldb::Status WriteOut(std::string_view more) {
    if (!failed_.ok()) return failed_;
    const std::string_view pieces[] = {buffer_, more};
    failed_ = ToLevelDb(file_->Write(offset_, pieces));
    offset_ += buffer_.size() + more.size();
    buffer_.clear();
    return failed_;
  }

  Env& env_;
  const std::shared_ptr<File> file_;
  const std::string directory_;
  uint64_t offset_ = 0;  // where the buffer belongs
  std::string buffer_;
  leveldb::Status failed_;
};

class HeldLock : public leveldb::FileLock {
 public:
  explicit HeldLock(std::unique_ptr<Held> held) : held_(std::move(held)) {}

 private:
  std::unique_ptr<Held> held_;
};

}  // namespace

leveldb::Status IndexEnv::NewSequentialFile(const std::string& path,
                                            leveldb::SequentialFile** result) {
  return OpenReadable(env_, path, result);
}

leveldb::Status IndexEnv::NewRandomAccessFile(const std::string& path,
                                              leveldb::RandomAccessFile** result) {
  return OpenReadable(env_, path, result);
}

leveldb::Status IndexEnv::NewWritableFile(const std::string& path, leveldb::WritableFile** result) {
  *result = nullptr;
  const bool log = path.ends_with(".log");
  std::lock_guard lock(mutex_);
  if (log && last_log_ != nullptr) {
    if (absl::Status synced = last_log_->Sync(); !synced.ok()) return ToLevelDb(synced);
  }
  absl::StatusOr<std::unique_ptr<File>> file = env_.Create(path);
  if (!file.ok()) return ToLevelDb(file.status());
  std::shared_ptr<File> shared = *std::move(file);
  if (log) last_log_ = shared;
  // A manifest names files: those have their names for good before it says so.
  const bool manifest = BaseOf(path).starts_with("MANIFEST");
  *result = new AppendedFile(env_, std::move(shared), manifest ? DirectoryOf(path) : "");
  return leveldb::Status::OK();
}

leveldb::Status IndexEnv::NewAppendableFile(const std::string& path,
                                            leveldb::WritableFile** result) {
  *result = nullptr;
  return leveldb::Status::NotSupported("files are written from their start", path);
}

// LevelDB makes anew what it takes for missing: in doubt, it is there.
bool IndexEnv::FileExists(const std::string& path) {
  return !absl::IsNotFound(env_.OpenForReading(path).status());
}

leveldb::Status IndexEnv::GetChildren(const std::string& directory,
                                      std::vector<std::string>* result) {
  absl::StatusOr<std::vector<std::string>> names = env_.List(directory);
  result->clear();
  if (!names.ok()) return ToLevelDb(names.status());
  *result = *std::move(names);
  return leveldb::Status::OK();
}

leveldb::Status IndexEnv::RemoveFile(const std::string& path) {
  return ToLevelDb(env_.Remove(path));
}

leveldb::Status IndexEnv::CreateDir(const std::string& path) {
  return ToLevelDb(env_.MakeDirectory(path));
}

leveldb::Status IndexEnv::RemoveDir(const std::string& path) {
  return ToLevelDb(env_.Remove(path));
}

leveldb::Status IndexEnv::GetFileSize(const std::string& path, uint64_t* size) {
  *size = 0;
  absl::StatusOr<std::unique_ptr<File>> file = env_.OpenForReading(path);
  if (!file.ok()) return ToLevelDb(file.status());
  absl::StatusOr<uint64_t> found = (*file)->Size();
  if (!found.ok()) return ToLevelDb(found.status());
  *size = *found;
  return leveldb::Status::OK();
}

leveldb::Status IndexEnv::RenameFile(const std::string& from, const std::string& to) {
  absl::Status renamed = env_.Rename(from, to);
  if (renamed.ok()) renamed = env_.SyncDirectory(DirectoryOf(to));
  return ToLevelDb(renamed);
}

leveldb::Status IndexEnv::LockFile(const std::string& path, leveldb::FileLock** lock) {
  *lock = nullptr;
  absl::StatusOr<std::unique_ptr<Held>> held = env_.Lock(path);
  if (!held.ok()) return ToLevelDb(held.status());
  *lock = new HeldLock(*std::move(held));
  return leveldb::Status::OK();
}

leveldb::Status IndexEnv::UnlockFile(leveldb::FileLock* lock) {
  delete lock;
  return leveldb::Status::OK();
}

leveldb::Status IndexEnv::NewLogger(const std::string& path, leveldb::Logger** result) {
  *result = nullptr;
  return leveldb::Status::NotSupported("no log is kept", path);
}

}  // namespace vxa
