// Appends records to the last pack, and begins new ones.
//
// Any number of threads append; what they appended is durable once a Sync that began later has
// returned. A pack is sealed (synced and left) when it is full. After a failed sync or write the
// pack is closed for writing: what was not durable is abandoned, which the header of the next pack
// records, and everything goes on there.
#ifndef ARCHIVE_PACK_WRITER_H_
#define ARCHIVE_PACK_WRITER_H_

#include <condition_variable>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "archive/env.h"
#include "archive/record_format.h"

namespace vxa {

// A place between records, and what is known there.
struct Position {
  uint32_t pack = 0;  // 0: before the first
  Uuid uuid{};
  uint64_t offset = 0;
  Digest chain;
  uint64_t next_sequence = 1;
};

// A record's place and name, for the index.
struct RecordRef {
  RecordType type;
  Digest payload;
  Location location;
  uint64_t sequence;
};

struct PackRef {
  uint32_t number = 0;
  Uuid uuid{};
};

// The ELF image of a decoder; the bytes outlive all use.
struct DecoderImage {
  Digest digest;
  std::string_view elf;
};

// Deletes may use the space that is held back from puts.
enum class Purpose { kPut, kDelete };
inline constexpr uint64_t kHeldBack = uint64_t{16} << 20;  // bytes

// What to append. The views outlive the call.
struct NewRecord {
  RecordType type = RecordType::kBlob;
  std::vector<std::string_view> pieces;  // the payload, at most kMaxPayload bytes in all
  std::vector<DecoderImage> decoders;    // to be in the same pack
  std::vector<Location> parts;           // records that it needs: not to be in what is abandoned
  Purpose purpose = Purpose::kPut;
};

class PackWriter {
 public:
  // Where to go on.
  struct Start {
    // The last pack, if it can be continued. Everything before is durable.
    std::unique_ptr<File> file;
    Position position;
    std::map<Digest, Location> decoders;  // in that pack
    bool in_barrier = false;  // whether a barrier, or the index, knows that it is durable
    // Else: what the header of the next pack says of the one before.
    Uuid previous_uuid{};
    uint64_t previous_end = 0;
    uint32_t next_pack = 1;
  };

  PackWriter(Env& env, std::string directory, uint64_t pack_size, Start start);

  // Where the last pack can't be continued: begins the next one, so that it is on record where that
  // one ends, whatever becomes of the index. If it can't be yet, the first append does it.
  void RecordEnd();

  struct Appended {
    Location record;
    uint64_t sequence = 0;           // the record's number
    std::vector<Location> decoders;  // in the same pack, in the order given
  };

  // Appends the decoders that the pack doesn't have, and the record. LIMIT_EXCEEDED if it is too
  // large, DISK_FULL, and STORE_FAILED, then too if one of its parts is lost.
  absl::StatusOr<Appended> Append(const NewRecord& record);

  // Appends a decoder if the pack doesn't have it, for a record to come.
  absl::StatusOr<Location> AppendDecoder(const DecoderImage& decoder);

  struct Synced {
    Position position;               // everything before it is durable
    std::vector<RecordRef> records;  // those before it that no Synced had yet, in their order
    std::vector<PackRef> packs;      // those begun that no Synced had yet
  };

  // Makes durable what was appended before the call. After an error, IsIntact tells what is lost,
  // and another call goes on from what isn't.
  // REQUIRES: one call at a time.
  absl::StatusOr<Synced> Sync();

  // Whether a record appended earlier does not lie in what was abandoned since.
  bool IsIntact(const Location& location) const;

  // What failed, if it does.
  std::string WhyLost(const Location& location) const;

  // Writes a barrier if something became durable at least `idle` ago and no barrier says so yet.
  // Errors are logged only: a barrier helps to tell damage from a crash, no more.
  void WriteBarrierIfIdle(absl::Duration idle);

 private:
  absl::Status CheckSpace(uint64_t size, Purpose purpose) const;

  // These are called with the mutex held.
  absl::StatusOr<Location> PlaceDecoder(const DecoderImage& decoder);
  absl::Status BeginPack();
  absl::Status MakeRoom(uint64_t size, std::unique_lock<std::mutex>& lock);
  absl::Status AppendBarrier();
  absl::StatusOr<Location> AppendRecord(RecordType type, const Digest& payload,
                                        const std::vector<std::string_view>& pieces);
  void Abandon(absl::string_view why);
  bool Intact(const Location& location) const;

  Env& env_;
  const std::string directory_;
  const uint64_t pack_size_;

  mutable std::mutex mutex_;  // guards what follows
  std::condition_variable sync_ended_;
  std::shared_ptr<File> file_;  // null: the next append begins a pack
  Position end_;                // of what was appended
  Position durable_;            // of what is durable, in the same pack
  uint64_t in_barrier_ = 0;     // what the last barrier says of it
  absl::Time durable_since_ = absl::InfinitePast();
  std::map<Digest, Location> decoders_;  // in this pack
  std::vector<RecordRef> unreported_;    // not in any Synced yet
  std::vector<PackRef> begun_;           // nor these
  struct Loss {
    uint64_t from = 0;  // offset
    std::string why;
  };
  std::map<uint32_t, Loss> abandoned_;  // by pack
  Uuid previous_uuid_;
  uint64_t previous_end_;
  uint32_t next_pack_;
  bool syncing_ = false;
};

}  // namespace vxa

#endif  // ARCHIVE_PACK_WRITER_H_
