// The texts of decoders' notes, so that images need not be read for them again.
#ifndef ARCHIVE_NOTE_CACHE_H_
#define ARCHIVE_NOTE_CACHE_H_

#include <cstddef>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

#include "archive/digest.h"

namespace vxa {

// Thread-safe.
class NoteCache {
 public:
  std::optional<std::string> Find(const Digest& decoder) const {
    std::lock_guard lock(mutex_);
    auto found = texts_.find(decoder);
    if (found == texts_.end()) return std::nullopt;
    return found->second;
  }

  // Forgets all others where there is no room for it.
  void Add(const Digest& decoder, std::string text) {
    std::lock_guard lock(mutex_);
    const size_t bytes = sizeof(Digest) + text.size();
    if (bytes_ + bytes > kMaxBytes) {
      texts_.clear();
      bytes_ = 0;
    }
    if (texts_.emplace(decoder, std::move(text)).second) bytes_ += bytes;
  }

 private:
  static constexpr size_t kMaxBytes = size_t{4} << 20;  // some thousands, as notes usually are

  mutable std::mutex mutex_;  // guards what follows
  std::map<Digest, std::string> texts_;
  size_t bytes_ = 0;
};

}  // namespace vxa

#endif  // ARCHIVE_NOTE_CACHE_H_
