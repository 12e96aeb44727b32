// LevelDB's view of an Env: the index writes its files through the interface that packs use.
//
// Two things that LevelDB leaves to luck are made sure of, because the index is not synced with
// every commit and has to be what some moment's was even after a power loss:
//
//   a log is durable before the one that follows it begins;
//   a file that gets a new name (CURRENT) has it for good before anything that it replaces goes.
#ifndef ARCHIVE_INDEX_ENV_H_
#define ARCHIVE_INDEX_ENV_H_

#include <leveldb/env.h>

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "archive/env.h"

namespace vxa {

// For one database. Threads and time are the operating system's. What can't be read of an open file
// is leveldb::Status::Corruption, every other failure IOError or NotFound.
class IndexEnv : public leveldb::EnvWrapper {
 public:
  // `env` outlives it. (Env alone would be the base of the base here.)
  explicit IndexEnv(vxa::Env& env) : EnvWrapper(leveldb::Env::Default()), env_(env) {}

  leveldb::Status NewSequentialFile(const std::string& path,
                                    leveldb::SequentialFile** result) override;
  leveldb::Status NewRandomAccessFile(const std::string& path,
                                      leveldb::RandomAccessFile** result) override;
  leveldb::Status NewWritableFile(const std::string& path, leveldb::WritableFile** result) override;
  leveldb::Status NewAppendableFile(const std::string& path,
                                    leveldb::WritableFile** result) override;
  bool FileExists(const std::string& path) override;
  leveldb::Status GetChildren(const std::string& directory,
                              std::vector<std::string>* result) override;
  leveldb::Status RemoveFile(const std::string& path) override;
  leveldb::Status CreateDir(const std::string& path) override;
  leveldb::Status RemoveDir(const std::string& path) override;
  leveldb::Status GetFileSize(const std::string& path, uint64_t* size) override;
  leveldb::Status RenameFile(const std::string& from, const std::string& to) override;
  leveldb::Status LockFile(const std::string& path, leveldb::FileLock** lock) override;
  leveldb::Status UnlockFile(leveldb::FileLock* lock) override;
  // LevelDB does without a log of what it does.
  leveldb::Status NewLogger(const std::string& path, leveldb::Logger** result) override;

 private:
  vxa::Env& env_;
  std::mutex mutex_;                // guards what follows
  std::shared_ptr<File> last_log_;  // open, to be synced
};

}  // namespace vxa

#endif  // ARCHIVE_INDEX_ENV_H_
