#include "archive/index.h"

#include <leveldb/db.h>
#include <leveldb/filter_policy.h>
#include <leveldb/write_batch.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "archive/errors.h"
#include "archive/index_env.h"
#include "archive/log.h"
#include "archive/text.h"

namespace vxa {
namespace {

using vxa::archive::v1::IndexWatermark;

void AppendBigEndian(std::string& key, uint64_t number, int bytes) {
  for (int i = bytes - 1; i >= 0; --i) key.push_back(static_cast<char>(number >> (8 * i)));
}

uint64_t BigEndian(std::string_view bytes) {
  uint64_t number = 0;
  for (char c : bytes) number = number << 8 | static_cast<uint8_t>(c);
  return number;
}

std::string NameKey(char kind, std::string_view ns, std::string_view name) {
  std::string key(1, kind);
  key.append(ns).push_back('\0');
  key.append(name);
  return key;
}

std::string NumberedKey(char kind, std::string_view ns, std::string_view name, uint64_t version) {
  std::string key = NameKey(kind, ns, name);
  key.push_back('\0');
  AppendBigEndian(key, ~version, 8);
  return key;
}

std::string VersionKey(std::string_view ns, std::string_view name, uint64_t version) {
  return NumberedKey('v', ns, name, version);
}

std::string VerificationKey(std::string_view ns, std::string_view name, uint64_t version) {
  return NumberedKey('c', ns, name, version);
}

void AppendDigest(std::string& key, const Digest& digest) {
  key.push_back(static_cast<char>(digest.algorithm));
  key.append(digest.raw());
}

std::string DecoderKey(const Digest& decoder) {
  std::string key = "d";
  AppendDigest(key, decoder);
  return key;
}

std::string RegistrationKey(std::string_view ns, const Digest& decoder) {
  std::string key = NameKey('g', ns, "");
  AppendDigest(key, decoder);
  return key;
}

std::string RequestKey(std::string_view ns, std::string_view name, std::string_view request_id) {
  std::string key = NameKey('r', ns, name);
  key.push_back('\0');
  return key.append(request_id);
}

std::string CopyKey(const Digest& payload, uint32_t pack, uint64_t offset) {
  std::string key = "p";
  AppendDigest(key, payload);
  AppendBigEndian(key, pack, 4);
  AppendBigEndian(key, offset, 8);
  return key;
}

std::string PackKey(uint32_t number) {
  std::string key = "u";
  AppendBigEndian(key, number, 4);
  return key;
}

std::string LostKey(uint64_t before) {
  std::string key = "l";
  AppendBigEndian(key, ~before, 8);
  return key;
}

leveldb::ReadOptions Reading(const leveldb::Snapshot* snapshot) {
  leveldb::ReadOptions options;
  options.verify_checksums = true;
  options.snapshot = snapshot;
  return options;
}

// Bytes of packs that a start replays at most, but for those of one commit.
constexpr uint64_t kCheckpointInterval = uint64_t{64} << 20;

// The file that names all others; without it LevelDB would begin anew, but for logs that it finds.
constexpr std::string_view kCurrent = "CURRENT";

// Takes the index away for good, in one step.
absl::Status Discard(Env& env, const std::string& directory) {
  absl::Status removed = env.Remove(absl::StrCat(directory, "/", Absl(kCurrent)));
  if (!removed.ok() && !absl::IsNotFound(removed)) return removed;
  return env.SyncDirectory(directory);
}

leveldb::Options DbOptions(leveldb::Env* env) {
  // Shared by the one database that a process has open; LevelDB never takes ownership.
  static const leveldb::FilterPolicy* filter = leveldb::NewBloomFilterPolicy(10);
  leveldb::Options options;
  options.env = env;
  options.create_if_missing = true;
  options.paranoid_checks = true;
  options.filter_policy = filter;
  options.max_open_files = 200;
  return options;
}

}  // namespace

std::string HeadKey(std::string_view ns, std::string_view name) { return NameKey('h', ns, name); }

std::optional<std::string_view> NameOfHeadKey(std::string_view ns, std::string_view key) {
  const std::string prefix = HeadKey(ns, "");
  if (!key.starts_with(prefix)) return std::nullopt;
  return key.substr(prefix.size());
}

// The message in a value that is there.
template <typename Message>
absl::StatusOr<std::optional<Message>> IndexView::Parsed(
    absl::StatusOr<std::optional<std::string>> value) const {
  if (!value.ok()) return value.status();
  if (!*value) return std::nullopt;
  Message message;
  if (!message.ParseFromString(**value)) return Failed(leveldb::Status::Corruption("bad value"));
  return message;
}

absl::StatusOr<Position> IndexView::PositionAt(const std::string& key) const {
  absl::StatusOr<std::optional<IndexWatermark>> stored = Parsed<IndexWatermark>(Get(key));
  if (!stored.ok()) return stored.status();
  Position position;
  if (!*stored) return position;
  position.pack = (*stored)->pack();
  position.offset = (*stored)->offset();
  position.next_sequence = (*stored)->next_sequence();
  absl::StatusOr<Digest> chain = Digest::FromBytes(HashAlgorithm::kSha256, (*stored)->chain());
  if (!chain.ok() || (*stored)->pack_uuid().size() != position.uuid.size()) {
    return Failed(leveldb::Status::Corruption("bad watermark"));
  }
  position.chain = *chain;
  std::ranges::copy((*stored)->pack_uuid(), position.uuid.begin());
  return position;
}

absl::StatusOr<std::optional<Uuid>> IndexView::PackUuid(uint32_t number) const {
  absl::StatusOr<std::optional<std::string>> stored = Get(PackKey(number));
  if (!stored.ok()) return stored.status();
  if (!*stored) return std::nullopt;
  Uuid uuid;
  if ((*stored)->size() != uuid.size()) return Failed(leveldb::Status::Corruption("bad UUID"));
  std::ranges::copy(**stored, uuid.begin());
  return uuid;
}

absl::StatusOr<uint64_t> IndexView::LostBefore(uint64_t sequence) const {
  absl::StatusOr<std::optional<Entry>> entry = FirstAtOrAfter(LostKey(sequence));
  if (!entry.ok()) return entry.status();
  return *entry && (*entry)->first.starts_with('l') ? BigEndian((*entry)->second) : 0;
}

absl::StatusOr<uint64_t> IndexView::LostSince(uint64_t sequence) const {
  absl::StatusOr<uint64_t> all = LostBefore(UINT64_MAX);
  absl::StatusOr<uint64_t> before = LostBefore(sequence);
  if (!all.ok() || !before.ok()) return all.ok() ? before.status() : all.status();
  return *all - *before;
}

absl::StatusOr<IndexHead> IndexView::Head(std::string_view ns, std::string_view name) const {
  absl::StatusOr<std::optional<IndexHead>> head = Parsed<IndexHead>(Get(HeadKey(ns, name)));
  if (!head.ok()) return head.status();
  return head->value_or(IndexHead());
}

absl::StatusOr<std::optional<IndexVersion>> IndexView::Version(std::string_view ns,
                                                               std::string_view name,
                                                               uint64_t version) const {
  return Parsed<IndexVersion>(Get(VersionKey(ns, name, version)));
}

absl::StatusOr<std::optional<std::pair<uint64_t, IndexVersion>>> IndexView::LatestVersion(
    std::string_view ns, std::string_view name, uint64_t below) const {
  absl::StatusOr<std::optional<Entry>> first = FirstAtOrAfter(VersionKey(ns, name, below - 1));
  if (!first.ok()) return first.status();
  const std::string prefix = NameKey('v', ns, name) + '\0';
  if (!*first || !(*first)->first.starts_with(prefix)) return std::nullopt;
  const uint64_t version = ~BigEndian(std::string_view((*first)->first).substr(prefix.size()));
  auto entry = Parsed<IndexVersion>(std::optional((*first)->second));
  if (!entry.ok()) return entry.status();
  return std::pair(version, **entry);
}

absl::StatusOr<std::optional<IndexRequest>> IndexView::Request(std::string_view ns,
                                                               std::string_view name,
                                                               std::string_view request_id) const {
  return Parsed<IndexRequest>(Get(RequestKey(ns, name, request_id)));
}

absl::StatusOr<std::optional<IndexVerification>> IndexView::LastVerification(
    std::string_view ns, std::string_view name, uint64_t version) const {
  return Parsed<IndexVerification>(Get(VerificationKey(ns, name, version)));
}

absl::StatusOr<std::optional<IndexDecoder>> IndexView::Decoder(const Digest& decoder) const {
  return Parsed<IndexDecoder>(Get(DecoderKey(decoder)));
}

absl::StatusOr<std::optional<IndexRegistration>> IndexView::Registration(
    std::string_view ns, const Digest& decoder) const {
  return Parsed<IndexRegistration>(Get(RegistrationKey(ns, decoder)));
}

absl::StatusOr<std::optional<std::pair<Digest, IndexDecoder>>> IndexView::NextDecoder(
    const Digest* after) const {
  absl::StatusOr<std::optional<Entry>> first =
      FirstAtOrAfter(after == nullptr ? "d" : DecoderKey(*after) + '\0');
  if (!first.ok()) return first.status();
  if (!*first || !(*first)->first.starts_with("d")) return std::nullopt;
  const std::string_view key = (*first)->first;
  absl::StatusOr<Digest> digest =
      Digest::FromBytes(static_cast<HashAlgorithm>(key[1]), key.substr(2));
  auto entry = Parsed<IndexDecoder>(std::optional((*first)->second));
  if (!digest.ok() || !entry.ok()) return Failed(leveldb::Status::Corruption("bad decoder entry"));
  return std::pair(*digest, **entry);
}

absl::StatusOr<std::vector<Location>> IndexView::Copies(const Digest& payload) const {
  const std::string prefix = CopyKey(payload, 0, 0).substr(0, 2 + payload.raw().size());
  std::vector<Location> copies;
  std::string key = prefix;
  for (;;) {
    absl::StatusOr<std::optional<Entry>> entry = FirstAtOrAfter(key);
    if (!entry.ok()) return entry.status();
    if (!*entry || !(*entry)->first.starts_with(prefix)) return copies;
    std::string_view place = std::string_view((*entry)->first).substr(prefix.size());
    if (place.size() != 12 || (*entry)->second.size() != 4) {
      return Failed(leveldb::Status::Corruption("bad copy entry"));
    }
    copies.push_back({.pack = static_cast<uint32_t>(BigEndian(place.substr(0, 4))),
                      .offset = BigEndian(place.substr(4)),
                      .length = static_cast<uint32_t>(BigEndian((*entry)->second))});
    key = (*entry)->first + '\0';
  }
}

Index::Index(Env& env, std::string directory)
    : env_(env), directory_(std::move(directory)), index_env_(std::make_unique<IndexEnv>(env)) {}
Index::~Index() = default;

absl::StatusOr<std::unique_ptr<Index>> Index::Open(Env& env, const std::string& directory) {
  if (absl::Status made = env.MakeDirectory(directory); !made.ok()) return made;
  absl::StatusOr<std::vector<std::string>> names = env.List(directory);
  if (!names.ok()) return names.status();
  if (std::ranges::count(*names, kCurrent) == 0 &&
      std::ranges::any_of(*names, [](std::string_view name) { return name.ends_with(".log"); })) {
    return absl::DataLossError(absl::StrCat(directory, " has no CURRENT"));
  }
  std::unique_ptr<Index> index(new Index(env, directory));
  leveldb::DB* db = nullptr;
  leveldb::Status status = leveldb::DB::Open(DbOptions(index->index_env_.get()), directory, &db);
  index->db_.reset(db);
  if (status.ok()) return index;
  // What LevelDB takes for an invalid argument is in the files: we give it none.
  if (status.IsIOError()) return index->Failed(status);
  return absl::DataLossError(status.ToString());
}

absl::Status Index::Destroy(Env& env, const std::string& directory) {
  if (absl::Status discarded = Discard(env, directory); !discarded.ok()) return discarded;
  absl::StatusOr<std::vector<std::string>> names = env.List(directory);
  if (!names.ok()) return names.status();
  for (const std::string& name : *names) {
    absl::Status removed = env.Remove(absl::StrCat(directory, "/", name));
    if (!removed.ok()) return removed;
  }
  return absl::OkStatus();
}

absl::Status Index::Failed(const leveldb::Status& status) const {
  if (status.IsCorruption() && !damaged_.exchange(true)) {
    absl::Status discarded = Discard(env_, directory_);
    Log(LogLevel::kError,
        absl::StrCat("the index is damaged: ", status.ToString(), "; ",
                     discarded.ok() ? "it is rebuilt at the next start"
                                    : absl::StrCat("remove its folder before the next start: ",
                                                   discarded.message())));
  }
  return Error(Reason::kStoreFailed, absl::StrCat("the index failed: ", status.ToString()));
}

absl::StatusOr<std::optional<std::string>> Index::GetAt(const leveldb::Snapshot* snapshot,
                                                        const std::string& key) const {
  std::string value;
  leveldb::Status status = db_->Get(Reading(snapshot), key, &value);
  if (status.IsNotFound()) return std::nullopt;
  if (!status.ok()) return Failed(status);
  return value;
}

absl::StatusOr<std::optional<IndexView::Entry>> Index::FirstAt(const leveldb::Snapshot* snapshot,
                                                               const std::string& key) const {
  std::unique_ptr<leveldb::Iterator> iterator(db_->NewIterator(Reading(snapshot)));
  iterator->Seek(key);
  if (!iterator->status().ok()) return Failed(iterator->status());
  if (!iterator->Valid()) return std::nullopt;
  return Entry{iterator->key().ToString(), iterator->value().ToString()};
}

absl::StatusOr<std::optional<std::string>> Index::Get(const std::string& key) const {
  return GetAt(nullptr, key);
}

absl::StatusOr<std::optional<IndexView::Entry>> Index::FirstAtOrAfter(
    const std::string& key) const {
  return FirstAt(nullptr, key);
}

absl::Status Index::Checkpoint() {
  absl::StatusOr<std::optional<std::string>> watermark = Get("w");
  absl::StatusOr<std::optional<std::string>> checkpoint = Get("s");
  if (!watermark.ok()) return watermark.status();
  if (!checkpoint.ok()) return checkpoint.status();
  if (*watermark == *checkpoint) return absl::OkStatus();
  // Two steps: what is said to be durable has to be so before it is said.
  leveldb::WriteOptions synced;
  synced.sync = true;
  leveldb::WriteBatch nothing;
  leveldb::Status status = db_->Write(synced, &nothing);
  if (status.ok()) status = db_->Put(leveldb::WriteOptions(), "s", **watermark);
  return status.ok() ? absl::OkStatus() : Failed(status);
}

void Index::CheckpointIfDue(const Position& position) {
  if (position.pack == checkpoint_.pack &&
      position.offset - checkpoint_.offset < kCheckpointInterval) {
    return;
  }
  checkpoint_ = position;
  // What was written is written; after an error of its log LevelDB fails the next write.
  if (absl::Status status = Checkpoint(); !status.ok()) {
    Log(LogLevel::kWarning, absl::StrCat("no checkpoint: ", status.message()));
  }
}

std::unique_ptr<Index::Snapshot> Index::Now() const { return std::make_unique<Snapshot>(*this); }

Index::Snapshot::Snapshot(const Index& index)
    : index_(index), snapshot_(index.db_->GetSnapshot()) {}

Index::Snapshot::~Snapshot() { index_.db_->ReleaseSnapshot(snapshot_); }

absl::StatusOr<std::optional<std::string>> Index::Snapshot::Get(const std::string& key) const {
  return index_.GetAt(snapshot_, key);
}

absl::StatusOr<std::optional<IndexView::Entry>> Index::Snapshot::FirstAtOrAfter(
    const std::string& key) const {
  return index_.FirstAt(snapshot_, key);
}

std::unique_ptr<leveldb::Iterator> Index::Snapshot::NewIterator() const {
  return std::unique_ptr<leveldb::Iterator>(index_.db_->NewIterator(Reading(snapshot_)));
}

absl::StatusOr<std::optional<std::string>> IndexTransaction::Get(const std::string& key) const {
  if (auto changed = changes_.find(key); changed != changes_.end()) return changed->second;
  return index_.Get(key);
}

absl::StatusOr<std::optional<IndexView::Entry>> IndexTransaction::FirstAtOrAfter(
    const std::string& key) const {
  auto added = changes_.lower_bound(key);
  while (added != changes_.end() && !added->second) ++added;
  std::string from = key;
  for (;;) {
    absl::StatusOr<std::optional<Entry>> stored = index_.FirstAtOrAfter(from);
    if (!stored.ok()) return stored.status();
    if (added != changes_.end() && (!*stored || added->first <= (*stored)->first)) {
      return Entry{added->first, *added->second};
    }
    if (!*stored || !changes_.contains((*stored)->first)) return stored;
    from = (*stored)->first + '\0';  // removed here
  }
}

void IndexTransaction::SetWatermark(const Position& position) {
  IndexWatermark watermark;
  watermark.set_pack(position.pack);
  watermark.set_pack_uuid(std::string(position.uuid.begin(), position.uuid.end()));
  watermark.set_offset(position.offset);
  watermark.set_chain(std::string(position.chain.raw()));
  watermark.set_next_sequence(position.next_sequence);
  changes_["w"] = watermark.SerializeAsString();
  position_ = position;
}

void IndexTransaction::SetPack(const PackRef& pack) {
  changes_[PackKey(pack.number)] = std::string(pack.uuid.begin(), pack.uuid.end());
}

void IndexTransaction::SetLost(uint64_t before, uint64_t count) {
  std::string value;
  AppendBigEndian(value, count, 8);
  changes_[LostKey(before)] = value;
}

void IndexTransaction::SetHead(std::string_view ns, std::string_view name, const IndexHead& head) {
  changes_[HeadKey(ns, name)] = head.SerializeAsString();
}

void IndexTransaction::SetVersion(std::string_view ns, std::string_view name, uint64_t version,
                                  const IndexVersion& entry) {
  changes_[VersionKey(ns, name, version)] = entry.SerializeAsString();
}

void IndexTransaction::RemoveVersion(std::string_view ns, std::string_view name, uint64_t version) {
  changes_[VersionKey(ns, name, version)] = std::nullopt;
}

void IndexTransaction::SetRequest(std::string_view ns, std::string_view name,
                                  std::string_view request_id, const IndexRequest& request) {
  changes_[RequestKey(ns, name, request_id)] = request.SerializeAsString();
}

void IndexTransaction::RemoveRequest(std::string_view ns, std::string_view name,
                                     std::string_view request_id) {
  changes_[RequestKey(ns, name, request_id)] = std::nullopt;
}

void IndexTransaction::SetVerification(std::string_view ns, std::string_view name, uint64_t version,
                                       const IndexVerification& entry) {
  changes_[VerificationKey(ns, name, version)] = entry.SerializeAsString();
}

void IndexTransaction::RemoveVerification(std::string_view ns, std::string_view name,
                                          uint64_t version) {
  changes_[VerificationKey(ns, name, version)] = std::nullopt;
}

void IndexTransaction::SetDecoder(const Digest& decoder, const IndexDecoder& entry) {
  changes_[DecoderKey(decoder)] = entry.SerializeAsString();
}

void IndexTransaction::SetRegistration(std::string_view ns, const Digest& decoder,
                                       const IndexRegistration& entry) {
  changes_[RegistrationKey(ns, decoder)] = entry.SerializeAsString();
}

void IndexTransaction::AddCopy(const Digest& payload, const Location& location) {
  std::string length;
  AppendBigEndian(length, location.length, 4);
  changes_[CopyKey(payload, location.pack, location.offset)] = length;
}

absl::Status IndexTransaction::Write() {
  leveldb::WriteBatch batch;
  for (const auto& [key, value] : changes_) {
    if (value) {
      batch.Put(key, *value);
    } else {
      batch.Delete(key);
    }
  }
  leveldb::Status status = index_.db_->Write(leveldb::WriteOptions(), &batch);
  if (!status.ok()) return Failed(status);
  const bool moved = changes_.contains("w");
  changes_.clear();
  if (moved) index_.CheckpointIfDue(position_);
  return absl::OkStatus();
}

}  // namespace vxa
