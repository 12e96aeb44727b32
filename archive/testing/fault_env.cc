#include "archive/testing/fault_env.h"

#include <algorithm>
#include <map>
#include <random>
#include <span>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "archive/errors.h"

namespace vxa::testing {
namespace {

using Random = std::mt19937_64;

constexpr size_t kSector = 512;  // bytes that a disk writes whole or not at all

const char* NameOf(Call call) {
  static constexpr const char* kNames[] = {"open",      "create", "read",  "write",
                                           "fdatasync", "list",   "mkdir", "rename",
                                           "remove",    "fsync",  "lock"};
  return kNames[static_cast<int>(call)];
}

bool TakesSpace(Call call) {
  switch (call) {
    case Call::kCreate:
    case Call::kWrite:
    case Call::kSync:
    case Call::kMakeDirectory:
    case Call::kRename:
    case Call::kSyncDirectory:
      return true;
    default:
      return false;
  }
}

// A change to a file since its last sync.
struct Change {
  bool truncate = false;  // to nothing
  uint64_t offset = 0;
  std::shared_ptr<const std::string> bytes;
};

void Put(std::string& file, uint64_t offset, std::string_view bytes) {
  if (file.size() < offset + bytes.size()) file.resize(offset + bytes.size());
  file.replace(offset, bytes.size(), bytes);
}

void Apply(std::string& file, const Change& change) {
  if (change.truncate) {
    file.clear();
  } else {
    Put(file, change.offset, *change.bytes);
  }
}

// Whole, not at all, cut somewhere, or in some of its sectors.
void ApplySome(std::string& file, const Change& change, Random& random) {
  if (random() % 3 == 0) return;
  if (change.truncate || random() % 2 == 0) return Apply(file, change);
  const std::string_view bytes = *change.bytes;
  if (random() % 2 == 0) {
    return Put(file, change.offset, bytes.substr(0, random() % (bytes.size() + 1)));
  }
  for (size_t at = 0; at < bytes.size();) {
    const size_t sector = kSector - (change.offset + at) % kSector;
    if (random() % 2 == 0) Put(file, change.offset + at, bytes.substr(at, sector));
    at += sector;
  }
}

absl::Status Dead(const std::string& path) {
  return Error(Reason::kStoreFailed, absl::StrCat(path, ": the program that asks is dead"));
}

}  // namespace

// A file or a directory.
struct FaultEnv::Node {
  using Names = std::map<std::string, std::shared_ptr<Node>>;

  // A change to names since the last sync: `gone` goes, `name` comes; either may be empty.
  struct NameChange {
    std::string gone;
    std::string name;
    std::shared_ptr<Node> node;

    void ApplyTo(Names& names) const {
      if (!gone.empty()) names.erase(gone);
      if (!name.empty()) names[name] = node;
    }
  };

  bool directory = false;

  // Of a file. The strings are shared between states and file systems, and copied to be changed.
  std::shared_ptr<std::string> seen = std::make_shared<std::string>();
  std::shared_ptr<std::string> on_disk = seen;
  std::vector<Change> changes;
  bool lost = false;  // a sync has failed: what is seen may never get to the disk

  // Of a directory.
  Names names;
  Names names_on_disk;
  std::vector<NameChange> name_changes;

  void Alter(const NameChange& change) {
    change.ApplyTo(names);
    name_changes.push_back(change);
  }
  void Cut(Survival survival, Random& random);
  std::shared_ptr<Node> Copy(std::map<const Node*, std::shared_ptr<Node>>& copies) const;
  uint64_t Used() const;
};

// Leaves what is on the disk after a power cut.
void FaultEnv::Node::Cut(Survival survival, Random& random) {
  if (!changes.empty() || lost) {
    auto left = std::make_shared<std::string>(*on_disk);
    for (const auto& change : changes) {
      if (survival == Survival::kEverything) Apply(*left, change);
      if (survival == Survival::kSome) ApplySome(*left, change, random);
    }
    if (survival == Survival::kSome && seen->size() > left->size() && random() % 2 == 0) {
      left->resize(seen->size());
    }
    seen = on_disk = left;
    changes.clear();
    lost = false;
  }
  for (const NameChange& change : name_changes) {
    if (survival == Survival::kNothing) continue;
    if (survival == Survival::kSome && random() % 2 == 0) continue;
    change.ApplyTo(names_on_disk);
  }
  name_changes.clear();
  names = names_on_disk;
  for (const auto& [name, node] : names) node->Cut(survival, random);
}

std::shared_ptr<FaultEnv::Node> FaultEnv::Node::Copy(
    std::map<const Node*, std::shared_ptr<Node>>& copies) const {
  std::shared_ptr<Node>& copy = copies[this];
  if (copy != nullptr) return copy;
  copy = std::make_shared<Node>(*this);
  const std::shared_ptr<Node> result = copy;
  for (auto& [name, node] : result->names) node = node->Copy(copies);
  for (auto& [name, node] : result->names_on_disk) node = node->Copy(copies);
  for (NameChange& change : result->name_changes) {
    if (change.node != nullptr) change.node = change.node->Copy(copies);
  }
  return result;
}

uint64_t FaultEnv::Node::Used() const {
  uint64_t used = seen->size();
  for (const auto& [name, node] : names) used += node->Used();
  return used;
}

// A name in its directory, whether there is such a name or not.
struct FaultEnv::Place {
  std::shared_ptr<Node> directory;
  std::string name;
};

class FaultEnv::OpenFile : public File {
 public:
  OpenFile(FaultEnv& env, std::shared_ptr<Node> node, std::string path)
      : env_(env), node_(std::move(node)), path_(std::move(path)), generation_(env.generation_) {}

  absl::StatusOr<uint64_t> Size() const override {
    std::lock_guard lock(env_.mutex_);
    if (env_.dead_ || generation_ != env_.generation_) return Dead(path_);
    return node_->seen->size();
  }

  absl::Status Read(uint64_t offset, std::span<char> buffer) const override {
    std::lock_guard lock(env_.mutex_);
    if (generation_ != env_.generation_) return Dead(path_);
    if (absl::Status entered = env_.Enter(Call::kRead, path_); !entered.ok()) return entered;
    const std::string& bytes = *node_->seen;
    if (offset > bytes.size() || bytes.size() - offset < buffer.size()) {
      return absl::OutOfRangeError(absl::StrCat("read ", path_, ": it ends at ", bytes.size()));
    }
    std::copy_n(bytes.begin() + static_cast<ptrdiff_t>(offset), buffer.size(), buffer.begin());
    return absl::OkStatus();
  }

  absl::Status Write(uint64_t offset, std::span<const std::string_view> pieces) override {
    env_.Observe(Call::kWrite, path_);
    std::string bytes;
    for (std::string_view piece : pieces) bytes += piece;
    std::lock_guard lock(env_.mutex_);
    if (env_.dead_ || generation_ != env_.generation_) return Dead(path_);
    return env_.Write(*node_, path_, offset, std::move(bytes));
  }

  absl::Status Sync() override {
    env_.Observe(Call::kSync, path_);
    std::lock_guard lock(env_.mutex_);
    if (env_.dead_ || generation_ != env_.generation_) return Dead(path_);
    return env_.Sync(*node_, path_);
  }

 private:
  FaultEnv& env_;
  const std::shared_ptr<Node> node_;
  const std::string path_;
  const uint64_t generation_;
};

class FaultEnv::HeldLock : public Held {
 public:
  HeldLock(FaultEnv& env, std::string path)
      : env_(env), path_(std::move(path)), generation_(env.generation_) {}
  ~HeldLock() override {
    std::lock_guard lock(env_.mutex_);
    if (generation_ == env_.generation_) env_.locked_.erase(path_);
  }
  HeldLock(const HeldLock&) = delete;
  HeldLock& operator=(const HeldLock&) = delete;

 private:
  FaultEnv& env_;
  const std::string path_;
  const uint64_t generation_;
};

FaultEnv::FaultEnv() : root_(std::make_shared<Node>()) { root_->directory = true; }
FaultEnv::~FaultEnv() = default;

void FaultEnv::Set(const Fault& fault) {
  std::lock_guard lock(mutex_);
  fault_ = fault;
  calls_ = 0;
}

void FaultEnv::ClearFault() {
  std::lock_guard lock(mutex_);
  fault_.reset();
}

bool FaultEnv::struck() const {
  std::lock_guard lock(mutex_);
  return fault_ && calls_ >= fault_->nth;
}

void FaultEnv::set_disk_size(uint64_t bytes) {
  std::lock_guard lock(mutex_);
  disk_size_ = bytes;
}

uint64_t FaultEnv::used() const {
  std::lock_guard lock(mutex_);
  return root_->Used();
}

void FaultEnv::set_observer(std::function<void(Call, const std::string& path)> observer) {
  std::lock_guard lock(mutex_);
  observer_ = std::move(observer);
}

void FaultEnv::Observe(Call call, const std::string& path) const {
  std::function<void(Call, const std::string&)> observer;
  {
    std::lock_guard lock(mutex_);
    observer = observer_;
  }
  if (observer) observer(call, path);
}

void FaultEnv::Kill() {
  std::lock_guard lock(mutex_);
  dead_ = true;
}

void FaultEnv::PowerCut(Survival survival, uint64_t seed) {
  std::lock_guard lock(mutex_);
  dead_ = true;
  Random random(seed);
  root_->Cut(survival, random);
}

void FaultEnv::Restart() {
  std::lock_guard lock(mutex_);
  dead_ = false;
  ++generation_;
  locked_.clear();
}

std::unique_ptr<FaultEnv> FaultEnv::Clone() const {
  auto clone = std::make_unique<FaultEnv>();
  std::lock_guard lock(mutex_);
  std::map<const Node*, std::shared_ptr<Node>> copies;
  clone->root_ = root_->Copy(copies);
  clone->disk_size_ = disk_size_;
  return clone;
}

absl::Status FaultEnv::Enter(Call call, const std::string& path) {
  if (dead_) return Dead(path);
  if (!fault_ || (fault_->call && *fault_->call != call)) return absl::OkStatus();
  if (fault_->error == ENOSPC && !TakesSpace(call)) return absl::OkStatus();
  ++calls_;
  if (fault_->lasting ? calls_ < fault_->nth : calls_ != fault_->nth) return absl::OkStatus();
  return CallFailed(NameOf(call), path, fault_->error);
}

// Nothing if there is no such directory.
std::optional<FaultEnv::Place> FaultEnv::Find(const std::string& path) const {
  std::vector<std::string> parts;
  for (absl::string_view part : absl::StrSplit(path, '/', absl::SkipEmpty())) {
    if (part != "..") {
      parts.emplace_back(part);
    } else if (!parts.empty()) {
      parts.pop_back();
    }
  }
  Place place{.directory = root_};
  for (const std::string& part : parts) {
    if (!place.name.empty()) {
      auto found = place.directory->names.find(place.name);
      if (found == place.directory->names.end() || !found->second->directory) return std::nullopt;
      place.directory = found->second;
    }
    place.name = part;
  }
  return place;
}

std::shared_ptr<FaultEnv::Node> FaultEnv::NodeAt(const std::string& path) const {
  std::optional<Place> place = Find(path);
  if (!place) return nullptr;
  if (place->name.empty()) return root_;
  auto found = place->directory->names.find(place->name);
  return found == place->directory->names.end() ? nullptr : found->second;
}

absl::StatusOr<std::unique_ptr<File>> FaultEnv::Open(const std::string& path) {
  if (absl::Status entered = Enter(Call::kOpen, path); !entered.ok()) return entered;
  std::shared_ptr<Node> node = NodeAt(path);
  if (node == nullptr) return CallFailed("open", path, ENOENT);
  if (node->directory) return CallFailed("open", path, EISDIR);
  return std::make_unique<OpenFile>(*this, std::move(node), path);
}

absl::StatusOr<std::unique_ptr<File>> FaultEnv::OpenForReading(const std::string& path) {
  std::lock_guard lock(mutex_);
  return Open(path);
}

absl::StatusOr<std::unique_ptr<File>> FaultEnv::OpenForWriting(const std::string& path) {
  std::lock_guard lock(mutex_);
  return Open(path);
}

absl::StatusOr<std::unique_ptr<File>> FaultEnv::Create(const std::string& path) {
  Observe(Call::kCreate, path);
  std::lock_guard lock(mutex_);
  if (absl::Status entered = Enter(Call::kCreate, path); !entered.ok()) return entered;
  std::optional<Place> place = Find(path);
  if (!place) return CallFailed("create", path, ENOENT);
  std::shared_ptr<Node> node = NodeAt(path);
  if (node == nullptr) {
    node = std::make_shared<Node>();
    place->directory->Alter({.name = place->name, .node = node});
  } else if (node->directory) {
    return CallFailed("create", path, EISDIR);
  } else {
    node->seen = std::make_shared<std::string>();
    node->changes.push_back({.truncate = true});
  }
  return std::make_unique<OpenFile>(*this, std::move(node), path);
}

absl::Status FaultEnv::Write(Node& node, const std::string& path, uint64_t offset,
                             std::string bytes) {
  absl::Status status = Enter(Call::kWrite, path);
  if (!status.ok()) bytes.resize(bytes.size() / 2);
  const uint64_t end = offset + bytes.size();
  const uint64_t before = node.seen->size();
  if (disk_size_ != UINT64_MAX && end > before) {
    const uint64_t used = root_->Used();
    const uint64_t left = used < disk_size_ ? disk_size_ - used : 0;
    if (end - before > left) {
      if (status.ok()) status = CallFailed("write", path, ENOSPC);
      const uint64_t fits = before + left;
      bytes.resize(fits > offset ? fits - offset : 0);
    }
  }
  if (bytes.empty()) return status;
  if (node.seen.use_count() != 1) node.seen = std::make_shared<std::string>(*node.seen);
  auto shared = std::make_shared<const std::string>(std::move(bytes));
  Put(*node.seen, offset, *shared);
  node.changes.push_back({.offset = offset, .bytes = std::move(shared)});
  return status;
}

absl::Status FaultEnv::Sync(Node& node, const std::string& path) {
  absl::Status status = Enter(Call::kSync, path);
  if (!status.ok()) {
    node.lost = true;
  } else if (!node.lost) {
    node.on_disk = node.seen;
  } else {
    node.on_disk = std::make_shared<std::string>(*node.on_disk);
    for (const Change& change : node.changes) Apply(*node.on_disk, change);
  }
  node.changes.clear();
  return status;
}

absl::Status FaultEnv::MakeDirectory(const std::string& path) {
  Observe(Call::kMakeDirectory, path);
  std::lock_guard lock(mutex_);
  if (absl::Status entered = Enter(Call::kMakeDirectory, path); !entered.ok()) return entered;
  std::optional<Place> place = Find(path);
  if (!place) return CallFailed("mkdir", path, ENOENT);
  if (NodeAt(path) != nullptr) return absl::OkStatus();
  auto node = std::make_shared<Node>();
  node->directory = true;
  place->directory->Alter({.name = place->name, .node = node});
  return absl::OkStatus();
}

absl::StatusOr<std::vector<std::string>> FaultEnv::List(const std::string& directory) {
  std::lock_guard lock(mutex_);
  if (absl::Status entered = Enter(Call::kList, directory); !entered.ok()) return entered;
  const std::shared_ptr<Node> node = NodeAt(directory);
  if (node == nullptr) return CallFailed("list", directory, ENOENT);
  if (!node->directory) return CallFailed("list", directory, ENOTDIR);
  std::vector<std::string> names;
  for (const auto& [name, child] : node->names) names.push_back(name);
  return names;
}

absl::Status FaultEnv::Rename(const std::string& from, const std::string& to) {
  Observe(Call::kRename, from);
  std::lock_guard lock(mutex_);
  if (absl::Status entered = Enter(Call::kRename, from); !entered.ok()) return entered;
  const std::shared_ptr<Node> node = NodeAt(from);
  std::optional<Place> source = Find(from);
  std::optional<Place> target = Find(to);
  if (node == nullptr || !target) return CallFailed("rename", from, ENOENT);
  if (source->directory != target->directory) return CallFailed("rename", from, EXDEV);
  source->directory->Alter({.gone = source->name, .name = target->name, .node = node});
  return absl::OkStatus();
}

absl::Status FaultEnv::Remove(const std::string& path) {
  Observe(Call::kRemove, path);
  std::lock_guard lock(mutex_);
  if (absl::Status entered = Enter(Call::kRemove, path); !entered.ok()) return entered;
  const std::shared_ptr<Node> node = NodeAt(path);
  if (node == nullptr) return CallFailed("remove", path, ENOENT);
  if (!node->names.empty()) return CallFailed("remove", path, ENOTEMPTY);
  const std::optional<Place> place = Find(path);
  place->directory->Alter({.gone = place->name});
  return absl::OkStatus();
}

absl::Status FaultEnv::SyncDirectory(const std::string& path) {
  Observe(Call::kSyncDirectory, path);
  std::lock_guard lock(mutex_);
  if (absl::Status entered = Enter(Call::kSyncDirectory, path); !entered.ok()) return entered;
  const std::shared_ptr<Node> node = NodeAt(path);
  if (node == nullptr || !node->directory) return CallFailed("fsync", path, ENOENT);
  node->names_on_disk = node->names;
  node->name_changes.clear();
  return absl::OkStatus();
}

absl::StatusOr<uint64_t> FaultEnv::FreeSpace(const std::string& path) {
  std::lock_guard lock(mutex_);
  if (dead_) return Dead(path);
  if (disk_size_ == UINT64_MAX) return disk_size_;
  const uint64_t used = root_->Used();
  return used < disk_size_ ? disk_size_ - used : 0;
}

absl::StatusOr<std::unique_ptr<Held>> FaultEnv::Lock(const std::string& path) {
  Observe(Call::kLock, path);
  std::lock_guard lock(mutex_);
  if (absl::Status entered = Enter(Call::kLock, path); !entered.ok()) return entered;
  std::optional<Place> place = Find(path);
  if (!place) return CallFailed("lock", path, ENOENT);
  if (!locked_.insert(path).second) {
    return absl::FailedPreconditionError(absl::StrCat(path, " is locked"));
  }
  if (NodeAt(path) == nullptr) {
    place->directory->Alter({.name = place->name, .node = std::make_shared<Node>()});
  }
  return std::make_unique<HeldLock>(*this, path);
}

std::string ReadFile(Env& env, const std::string& path) {
  absl::StatusOr<std::unique_ptr<File>> file = env.OpenForReading(path);
  if (!file.ok()) return file.status().ToString();
  std::string bytes((*file)->Size().value_or(0), '\0');
  const absl::Status read = (*file)->Read(0, bytes);
  return read.ok() ? bytes : read.ToString();
}

void WriteFile(Env& env, const std::string& path, std::string_view bytes) {
  absl::StatusOr<std::unique_ptr<File>> file = env.Create(path);
  if (!file.ok() || !(*file)->Write(0, {{bytes}}).ok()) abort();
}

void RemoveFiles(Env& env, const std::string& directory) {
  absl::StatusOr<std::vector<std::string>> names = env.List(directory);
  if (!names.ok()) return;
  for (const std::string& name : *names) {
    if (!env.Remove(absl::StrCat(directory, "/", name)).ok()) abort();
  }
}

}  // namespace vxa::testing
