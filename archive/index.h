// The index: where things are, so that nobody has to read the packs for it. A cache in LevelDB,
// rebuilt from the packs whenever it is lost (replay.h); nothing is in it that isn't in them.
//
// Keys. A namespace or name has no byte 0, so 0 ends it and keeps the order bytewise. Numbers are
// big-endian, for their order; a digest is its algorithm's byte and its own bytes.
//
//   w                                    -> IndexWatermark: up to where the packs are in the index
//   s                                    -> IndexWatermark: up to where they are for good
//   u pack(4)                            -> UUID(16) of each of them, zero if it can't be told
//   l ~sequence(8)                       -> count(8): so many records that may have given out
//                                           versions were lost before that number; latest first
//   h namespace 0 name                   -> IndexHead: the versions of a name
//   v namespace 0 name 0 ~version(8)     -> IndexVersion: one version; the latest comes first
//   r namespace 0 name 0 request_id      -> IndexRequest: what a request made
//   c namespace 0 name 0 ~version(8)     -> IndexVerification: the last one of a version
//   p digest pack(4) offset(8)           -> length(4): a copy of a decoder, blob or chunk list
//   d digest                             -> IndexDecoder: a decoder that is in the packs
//   g namespace 0 digest                 -> IndexRegistration: of a decoder by somebody
//
// Versions that are removed have no `v`; a head stays for ever, because versions are never reused.
//
// Commits don't wait for the index to be synced. A power loss may take any of what was written
// since the last checkpoint, the earlier with the later staying even; so a start replays from there
// (`s`), which gives the same state whatever of it is there already.
#ifndef ARCHIVE_INDEX_H_
#define ARCHIVE_INDEX_H_

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "archive/digest.h"
#include "archive/env.h"
#include "archive/pack_writer.h"
#include "archive/record_format.h"
#include "vxa/archive/v1/index.pb.h"

namespace leveldb {
class DB;
class Iterator;
class Snapshot;
class Status;
}  // namespace leveldb

namespace vxa {

class IndexEnv;

using vxa::archive::v1::IndexDecoder;
using vxa::archive::v1::IndexHead;
using vxa::archive::v1::IndexRegistration;
using vxa::archive::v1::IndexRequest;
using vxa::archive::v1::IndexVerification;
using vxa::archive::v1::IndexVersion;

// Reading the index, as of some moment. STORE_FAILED if it can't be read.
class IndexView {
 public:
  virtual ~IndexView() = default;

  using Entry = std::pair<std::string, std::string>;  // key, value
  virtual absl::StatusOr<std::optional<std::string>> Get(const std::string& key) const = 0;
  virtual absl::StatusOr<std::optional<Entry>> FirstAtOrAfter(const std::string& key) const = 0;

  // Up to where the packs are in the index; up to where no power loss takes them out of it. The
  // beginning if nothing is known.
  absl::StatusOr<Position> Watermark() const { return PositionAt("w"); }
  absl::StatusOr<Position> Checkpointed() const { return PositionAt("s"); }
  // The UUID of a pack that is in the index.
  absl::StatusOr<std::optional<Uuid>> PackUuid(uint32_t number) const;
  // How many records that may have given out versions were lost before a sequence number, and
  // behind the record that has it (0: ever).
  absl::StatusOr<uint64_t> LostBefore(uint64_t sequence) const;
  absl::StatusOr<uint64_t> LostSince(uint64_t sequence) const;
  // All zero for a name that never was.
  absl::StatusOr<IndexHead> Head(std::string_view ns, std::string_view name) const;
  absl::StatusOr<std::optional<IndexVersion>> Version(std::string_view ns, std::string_view name,
                                                      uint64_t version) const;
  // The highest version that there is below `below`, with its number.
  absl::StatusOr<std::optional<std::pair<uint64_t, IndexVersion>>> LatestVersion(
      std::string_view ns, std::string_view name, uint64_t below = UINT64_MAX) const;
  absl::StatusOr<std::optional<IndexRequest>> Request(std::string_view ns, std::string_view name,
                                                      std::string_view request_id) const;
  absl::StatusOr<std::optional<IndexVerification>> LastVerification(std::string_view ns,
                                                                    std::string_view name,
                                                                    uint64_t version) const;
  absl::StatusOr<std::optional<IndexDecoder>> Decoder(const Digest& decoder) const;
  absl::StatusOr<std::optional<IndexRegistration>> Registration(std::string_view ns,
                                                                const Digest& decoder) const;
  // The next decoder in the order of digests, with its digest; the first if `after` is null.
  absl::StatusOr<std::optional<std::pair<Digest, IndexDecoder>>> NextDecoder(
      const Digest* after) const;
  // Where the records with this payload are.
  absl::StatusOr<std::vector<Location>> Copies(const Digest& payload) const;

  // What a failure of LevelDB means for callers: STORE_FAILED.
  virtual absl::Status Failed(const leveldb::Status& status) const = 0;

 private:
  absl::StatusOr<Position> PositionAt(const std::string& key) const;
  template <typename Message>
  absl::StatusOr<std::optional<Message>> Parsed(
      absl::StatusOr<std::optional<std::string>> value) const;
};

std::string HeadKey(std::string_view ns, std::string_view name);
// The name in a HeadKey of this namespace, or nothing for another key.
std::optional<std::string_view> NameOfHeadKey(std::string_view ns, std::string_view key);

// The index itself. Thread-safe; one thread at a time writes.
class Index : public IndexView {
 public:
  // DATA_LOSS if there is one and it is damaged; then Destroy and rebuild. STORE_FAILED.
  static absl::StatusOr<std::unique_ptr<Index>> Open(Env& env, const std::string& directory);
  static absl::Status Destroy(Env& env, const std::string& directory);
  ~Index() override;

  absl::StatusOr<std::optional<std::string>> Get(const std::string& key) const override;
  absl::StatusOr<std::optional<Entry>> FirstAtOrAfter(const std::string& key) const override;
  absl::Status Failed(const leveldb::Status& status) const override;

  // Whether damage was met. The index is then found damaged at the next Open, too.
  bool damaged() const { return damaged_; }

  // Makes durable what is written, and notes up to where that goes.
  absl::Status Checkpoint();

  // The index as it is now, for as long as that is kept; not longer than the index.
  class Snapshot;
  std::unique_ptr<Snapshot> Now() const;

 private:
  friend class IndexTransaction;
  Index(Env& env, std::string directory);
  absl::StatusOr<std::optional<std::string>> GetAt(const leveldb::Snapshot* snapshot,
                                                   const std::string& key) const;
  absl::StatusOr<std::optional<Entry>> FirstAt(const leveldb::Snapshot* snapshot,
                                               const std::string& key) const;
  void CheckpointIfDue(const Position& position);

  Env& env_;
  const std::string directory_;
  const std::unique_ptr<IndexEnv> index_env_;  // outlives db_
  std::unique_ptr<leveldb::DB> db_;
  mutable std::atomic<bool> damaged_ = false;
  Position checkpoint_;  // of this process; used by the one that writes
};

class Index::Snapshot : public IndexView {
 public:
  explicit Snapshot(const Index& index);
  ~Snapshot() override;
  absl::StatusOr<std::optional<std::string>> Get(const std::string& key) const override;
  absl::StatusOr<std::optional<Entry>> FirstAtOrAfter(const std::string& key) const override;
  absl::Status Failed(const leveldb::Status& status) const override {
    return index_.Failed(status);
  }
  // For walks.
  std::unique_ptr<leveldb::Iterator> NewIterator() const;

 private:
  const Index& index_;
  const leveldb::Snapshot* const snapshot_;
};

// Changes to the index, which show here at once and in the index when they are written, all at
// once. Used by one thread.
class IndexTransaction : public IndexView {
 public:
  explicit IndexTransaction(Index& index) : index_(index) {}

  absl::StatusOr<std::optional<std::string>> Get(const std::string& key) const override;
  absl::StatusOr<std::optional<Entry>> FirstAtOrAfter(const std::string& key) const override;
  absl::Status Failed(const leveldb::Status& status) const override {
    return index_.Failed(status);
  }

  void SetWatermark(const Position& position);
  void SetPack(const PackRef& pack);
  // `count` records in all were lost before that sequence number, and may have given out versions.
  void SetLost(uint64_t before, uint64_t count);
  void SetHead(std::string_view ns, std::string_view name, const IndexHead& head);
  void SetVersion(std::string_view ns, std::string_view name, uint64_t version,
                  const IndexVersion& entry);
  void RemoveVersion(std::string_view ns, std::string_view name, uint64_t version);
  void SetRequest(std::string_view ns, std::string_view name, std::string_view request_id,
                  const IndexRequest& request);
  void RemoveRequest(std::string_view ns, std::string_view name, std::string_view request_id);
  void SetVerification(std::string_view ns, std::string_view name, uint64_t version,
                       const IndexVerification& entry);
  void RemoveVerification(std::string_view ns, std::string_view name, uint64_t version);
  void SetDecoder(const Digest& decoder, const IndexDecoder& entry);
  void SetRegistration(std::string_view ns, const Digest& decoder, const IndexRegistration& entry);
  void AddCopy(const Digest& payload, const Location& location);

  size_t size() const { return changes_.size(); }
  void Clear() { changes_.clear(); }

  // Writes everything, not synced (now and then there is a checkpoint): what is lost is in the
  // packs. Empty afterwards.
  absl::Status Write();

 private:
  Index& index_;
  std::map<std::string, std::optional<std::string>> changes_;  // nothing: removed
  Position position_;                                          // of the watermark set last
};

}  // namespace vxa

#endif  // ARCHIVE_INDEX_H_
