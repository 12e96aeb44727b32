// The index made anew from the packs, and exchanged for the one there was:
//
//   index.new    is made by a replay of all packs
//   index        is compared with it, and what only it knows is told
//   index        -> index.old, index.new -> index, index.old is removed
//
// A crash leaves `index` whole or leaves none, which a start makes then. What else it leaves is
// removed by the next run.
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "archive/check.h"
#include "archive/check_report.h"
#include "archive/core.h"
#include "archive/directory.h"
#include "archive/env.h"
#include "archive/index.h"
#include "archive/index_check.h"
#include "archive/log.h"
#include "archive/object_check.h"
#include "archive/pack_files.h"
#include "archive/replay.h"

namespace vxa {
namespace {

// Removes a directory of files, if there is one.
absl::Status RemoveDirectory(Env& env, const std::string& path) {
  absl::StatusOr<std::vector<std::string>> names = env.List(path);
  if (absl::IsNotFound(names.status())) return absl::OkStatus();
  if (!names.ok()) return names.status();
  for (const std::string& name : *names) {
    absl::Status removed = env.Remove(absl::StrCat(path, "/", name));
    if (!removed.ok()) return removed;
  }
  return env.Remove(path);
}

class Rebuilder {
 public:
  Rebuilder(Env& env, std::string directory, CheckReport& report)
      : env_(env),
        directory_(std::move(directory)),
        index_(directory_ + "/index"),
        new_(directory_ + "/index.new"),
        old_(directory_ + "/index.old"),
        packs_(env, directory_ + "/packs"),
        report_(report) {}

  absl::Status Run();

 private:
  absl::Status CountPacks();
  absl::Status MakeAndTell();
  absl::StatusOr<std::unique_ptr<Index>> MakeNew(const Position& durable);
  absl::Status Exchange();

  Env& env_;
  const std::string directory_, index_, new_, old_;
  PackFiles packs_;
  CheckReport& report_;
};

absl::Status Rebuilder::Run() {
  absl::Status status = CountPacks();
  if (status.ok()) status = RemoveDirectory(env_, new_);
  if (status.ok()) status = RemoveDirectory(env_, old_);
  if (status.ok()) status = MakeAndTell();
  return status.ok() ? Exchange() : status;
}

// All databases are closed when this returns.
absl::Status Rebuilder::MakeAndTell() {
  StoredIndex stored = OpenStoredIndex(env_, index_, report_);
  absl::StatusOr<std::unique_ptr<Index>> made = MakeNew(stored.seen);
  if (!made.ok()) return made.status();
  // Of the core, only what reads is used.
  Core core(env_, {.directory = directory_}, *std::move(made), packs_.directory(), {});
  absl::Status status = CheckObjects(core, nullptr, /*decode=*/false, {}, report_);
  if (status.ok() && stored.index != nullptr) status = CatchUp(env_, packs_, stored, report_);
  if (!status.ok() || stored.index == nullptr) return status;
  return CompareIndexes(*stored.index, *core.index, packs_, report_);
}

absl::StatusOr<std::unique_ptr<Index>> Rebuilder::MakeNew(const Position& durable) {
  absl::StatusOr<std::unique_ptr<Index>> made = Index::Open(env_, new_);
  if (!made.ok()) return made;
  const LogCapture capture([this](LogLevel level, std::string_view text) {
    if (level == LogLevel::kError) {
      report_.PacksAreHurt();
      report_.Damage("packs", std::string(text));
    } else if (level == LogLevel::kWarning) {
      report_.Note("packs", std::string(text));
    }
  });
  absl::Status replayed = Replay(env_, packs_, **made, durable).status();
  if (!replayed.ok()) return replayed;
  return made;
}

absl::Status Rebuilder::CountPacks() {
  absl::StatusOr<std::vector<uint32_t>> numbers = packs_.List();
  if (!numbers.ok()) return numbers.status();
  report_.summary.packs = numbers->size();
  for (uint32_t number : *numbers) {
    absl::StatusOr<std::shared_ptr<const OpenPack>> pack = packs_.Open(number);
    if (!pack.ok()) continue;  // the replay tells
    absl::StatusOr<uint64_t> size = (*pack)->file->Size();
    if (!size.ok()) return size.status();
    report_.summary.pack_bytes += *size;
  }
  return absl::OkStatus();
}

absl::Status Rebuilder::Exchange() {
  absl::Status moved = env_.Rename(index_, old_);
  if (moved.ok() || absl::IsNotFound(moved)) moved = env_.Rename(new_, index_);
  if (moved.ok()) moved = env_.SyncDirectory(directory_);
  return moved.ok() ? RemoveDirectory(env_, old_) : moved;
}

}  // namespace

absl::StatusOr<CheckSummary> RebuildIndex(const std::string& directory, CheckSink& sink) {
  return RebuildIndex(Env::Real(), directory, sink);
}

absl::StatusOr<CheckSummary> RebuildIndex(Env& env, const std::string& directory, CheckSink& sink) {
  if (absl::Status known = CheckVersion(env, directory); !known.ok()) return known;
  absl::StatusOr<std::unique_ptr<Held>> lock = LockArchive(env, directory);
  if (!lock.ok()) return lock.status();
  const CallContext nobody;
  CheckReport report(sink, nobody);
  if (absl::Status status = Rebuilder(env, directory, report).Run(); !status.ok()) return status;
  report.Advise(CheckReport::Index::kRebuilt);
  return report.summary;
}

}  // namespace vxa
