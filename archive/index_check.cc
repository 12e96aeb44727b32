#include "archive/index_check.h"

#include <leveldb/iterator.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "archive/index_keys.h"
#include "archive/log.h"
#include "archive/replay.h"
#include "archive/text.h"

namespace vxa {
namespace {

constexpr char kIndex[] = "index";
constexpr std::string_view kMended =
    "no object is hurt: the next start makes it anew, as vxad rebuild-index does";

absl::Status CopyFile(Env& from, const std::string& path, Env& env, const std::string& to) {
  constexpr uint64_t kBlock = uint64_t{1} << 20;
  absl::StatusOr<std::unique_ptr<File>> source = from.OpenForReading(path);
  if (!source.ok()) return source.status();
  absl::StatusOr<uint64_t> size = (*source)->Size();
  if (!size.ok()) return size.status();
  absl::StatusOr<std::unique_ptr<File>> copy = env.Create(to);
  std::string block;
  for (uint64_t at = 0; copy.ok() && at < *size; at += block.size()) {
    block.resize(std::min(kBlock, *size - at));
    if (absl::Status read = (*source)->Read(at, block); !read.ok()) return read;
    absl::Status written = (*copy)->Write(at, {{block}});
    // The index is not to blame.
    if (!written.ok()) copy = absl::AbortedError(written.message());
  }
  return copy.ok() ? absl::OkStatus() : absl::AbortedError(copy.status().message());
}

void TellDamaged(const absl::Status& status, CheckReport& report) {
  report.NeedsRebuild();
  report.Damage(kIndex, absl::StrCat(status.message(), "; ", Absl(kMended)));
}

// A walk over the entries that tell of objects and decoders; the others tell how far the index is.
class Walk {
 public:
  explicit Walk(const Index& index) : snapshot_(index.Now()), at_(snapshot_->NewIterator()) {
    at_->SeekToFirst();
    SkipOthers();
  }

  bool Valid() const { return at_->Valid(); }
  std::string key() const { return at_->key().ToString(); }
  std::string value() const { return at_->value().ToString(); }
  absl::Status status() const {
    return at_->status().ok() ? absl::OkStatus() : absl::DataLossError(at_->status().ToString());
  }
  void Next() {
    at_->Next();
    SkipOthers();
  }

 private:
  void SkipOthers() {
    constexpr std::string_view kKinds = "hvrcpdg";
    while (at_->Valid() && kKinds.find(at_->key()[0]) == std::string_view::npos) at_->Next();
  }

  const std::unique_ptr<Index::Snapshot> snapshot_;
  const std::unique_ptr<leveldb::Iterator> at_;
};

class Comparison {
 public:
  Comparison(PackFiles& packs, CheckReport& report) : packs_(packs), report_(report) {}

  absl::Status Run(const Index& stored, const Index& fresh);

 private:
  enum class Difference { kNotInPacks, kNotInIndex, kOther };
  struct Tally {
    uint64_t count = 0;
    std::string first;
  };

  void Differ(Difference difference, const std::string& key, const std::string& value);
  void Lost(const VersionOf& subject, const std::string& value);
  void TellRest();

  PackFiles& packs_;
  CheckReport& report_;
  // Entries that aren't versions: most of them follow from those, or from damage.
  std::map<std::pair<Difference, char>, Tally> rest_;
};

absl::Status Comparison::Run(const Index& stored, const Index& fresh) {
  Walk old(stored), made(fresh);
  while (old.Valid() || made.Valid()) {
    if (!made.Valid() || (old.Valid() && old.key() < made.key())) {
      Differ(Difference::kNotInPacks, old.key(), old.value());
      old.Next();
    } else if (!old.Valid() || made.key() < old.key()) {
      Differ(Difference::kNotInIndex, made.key(), made.value());
      made.Next();
    } else {
      if (old.value() != made.value()) Differ(Difference::kOther, old.key(), old.value());
      old.Next();
      made.Next();
    }
    if (!old.status().ok()) break;
  }
  if (!made.status().ok()) return absl::InternalError(made.status().message());
  if (!old.status().ok()) {
    TellDamaged(old.status(), report_);
    return absl::OkStatus();
  }
  TellRest();
  return absl::OkStatus();
}

void Comparison::Differ(Difference difference, const std::string& key, const std::string& value) {
  const std::optional<VersionOf> subject = ParseVersionKey(key);
  if (key[0] != kVersionKind || !subject) {
    Tally& tally = rest_[{difference, key[0]}];
    if (tally.count++ == 0) tally.first = DescribeKey(key);
    return;
  }
  switch (difference) {
    case Difference::kNotInPacks:
      return Lost(*subject, value);
    case Difference::kNotInIndex:
      if (report_.packs_are_hurt()) {
        report_.Warn(Describe(*subject),
                     "the index says that it was removed, and the record of that is damaged: by "
                     "the packs alone it is there again");
      } else {
        report_.NeedsRebuild();
        report_.Damage(Describe(*subject), "the packs have it and the index doesn't");
      }
      return;
    case Difference::kOther:
      if (!report_.packs_are_hurt()) report_.NeedsRebuild();
      report_.Damage(Describe(*subject), "the index has it otherwise than the packs");
      return;
  }
}

// Tells of a version that the index has and the packs don't give.
void Comparison::Lost(const VersionOf& subject, const std::string& value) {
  IndexVersion entry;
  entry.ParseFromString(value);
  const Location location{.pack = entry.record().pack(),
                          .offset = entry.record().offset(),
                          .length = entry.record().length()};
  const RecordType type = entry.delete_marker() ? RecordType::kUpdate : RecordType::kManifest;
  absl::StatusOr<Digest> digest = Digest::FromBytes(HashAlgorithm::kSha256, entry.record_digest());
  absl::Status read = digest.ok() ? packs_.Read(location, type, *digest).status() : digest.status();
  if (read.ok()) {
    report_.NeedsRebuild();
    report_.Damage(
        Describe(subject),
        absl::StrCat("the index has it, and the packs take it away, though its record at ",
                     Describe(location), " is good"));
    return;
  }
  report_.NeedsCopyOf(location.pack);
  report_.IndexKnowsMore();
  report_.Damage(Describe(subject),
                 absl::StrCat(entry.delete_marker() ? "its delete marker" : "it",
                              " is lost; only the index still knows of it: ", read.message()));
}

void Comparison::TellRest() {
  for (const auto& [what, tally] : rest_) {
    static constexpr const char* kTexts[] = {"entries that only the index has",
                                             "entries that only the packs give",
                                             "entries that are otherwise in the index"};
    const std::string text = absl::StrCat(kTexts[static_cast<int>(what.first)], ": ", tally.count,
                                          ", the first is ", tally.first);
    if (report_.packs_are_hurt()) {
      report_.Note(kIndex, absl::StrCat(text, ". That follows from the damage to the packs"));
    } else {
      report_.NeedsRebuild();
      report_.Damage(kIndex, text);
    }
  }
}

}  // namespace

absl::StatusOr<bool> CopyIndex(Env& from, const std::string& directory, Env& env,
                               const std::string& to, CheckReport& report) {
  if (absl::Status made = env.MakeDirectory(to); !made.ok()) return made;
  absl::StatusOr<std::vector<std::string>> names = from.List(directory);
  if (absl::IsNotFound(names.status())) return true;  // an empty one, then
  if (!names.ok()) return names.status();
  for (const std::string& name : *names) {
    absl::Status copied =
        CopyFile(from, absl::StrCat(directory, "/", name), env, absl::StrCat(to, "/", name));
    if (absl::IsCancelled(copied) || absl::IsDeadlineExceeded(copied)) return copied;
    if (absl::IsAborted(copied)) return absl::UnavailableError(copied.message());
    if (!copied.ok()) {
      TellDamaged(copied, report);
      return false;
    }
  }
  return true;
}

StoredIndex OpenStoredIndex(Env& env, const std::string& directory, CheckReport& report) {
  absl::StatusOr<std::unique_ptr<Index>> index = Index::Open(env, directory);
  absl::StatusOr<Position> seen =
      index.ok() ? (*index)->Watermark() : absl::StatusOr<Position>(index.status());
  if (!seen.ok()) {
    TellDamaged(seen.status(), report);
    return {};
  }
  if (seen->pack == 0) {
    report.Note(kIndex, "there is none, or it is empty; the next start makes it from the packs");
    return {};
  }
  return {*std::move(index), *seen};
}

absl::Status CatchUp(Env& env, PackFiles& packs, StoredIndex& stored, CheckReport& report) {
  LogCapture silence([](LogLevel, std::string_view) {});
  absl::StatusOr<PackWriter::Start> start = Replay(env, packs, *stored.index);
  if (absl::IsCancelled(start.status()) || absl::IsDeadlineExceeded(start.status())) {
    return start.status();
  }
  if (absl::IsAborted(start.status())) {
    report.NeedsRebuild();
    report.Warn(kIndex, absl::StrCat(start.status().message(), "; ", Absl(kMended)));
    stored = {};
  } else if (!start.ok()) {
    TellDamaged(start.status(), report);
    stored = {};
  } else if (start->file != nullptr && !start->in_barrier) {
    report.Note(kIndex, "it is behind the packs, as after a crash; the next start reads on");
  }
  return absl::OkStatus();
}

absl::Status CompareIndexes(const Index& stored, const Index& fresh, PackFiles& packs,
                            CheckReport& report) {
  return Comparison(packs, report).Run(stored, fresh);
}

}  // namespace vxa
