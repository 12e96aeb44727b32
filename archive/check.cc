#include "archive/check.h"

#include <sys/statvfs.h>

#include <cstdint>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "archive/call_context.h"
#include "archive/check_report.h"
#include "archive/core.h"
#include "archive/directory.h"
#include "archive/index_check.h"
#include "archive/log.h"
#include "archive/object_check.h"
#include "archive/pack_check.h"
#include "archive/read_only_env.h"
#include "archive/replay.h"
#include "archive/scratch_directory.h"

namespace vxa {
namespace {

bool OnReadOnlyFileSystem(const std::string& path) {
  struct statvfs info;
  return statvfs(path.c_str(), &info) == 0 && (info.f_flag & ST_RDONLY) != 0;
}

// Keeps servers out while it lasts; a file system that nobody writes to needs no lock.
absl::StatusOr<std::unique_ptr<Held>> LockForCheck(const std::string& directory,
                                                   CheckReport& report) {
  absl::StatusOr<std::unique_ptr<Held>> lock = LockArchive(Env::Real(), directory);
  if (lock.ok() || absl::IsFailedPrecondition(lock.status())) return lock;
  if (!OnReadOnlyFileSystem(directory)) return lock;
  report.Note(directory,
              "it is on a read-only file system and can't be locked: what is said holds "
              "if nobody writes to it by another way");
  return nullptr;
}

class Checker {
 public:
  Checker(const CheckOptions& options, const CallContext& context, CheckReport& report)
      : options_(options),
        context_(context),
        report_(report),
        env_(Env::Real(), context),
        packs_(env_, options.directory + "/packs") {}

  absl::Status Run();

 private:
  absl::Status OpenIndexes();

  const CheckOptions& options_;
  const CallContext& context_;
  CheckReport& report_;
  ReadOnlyEnv env_;  // all that is read of the archive is read through this
  PackFiles packs_;
  std::unique_ptr<ScratchDirectory> scratch_;
  std::unique_ptr<Index> fresh_;
  absl::Status replayed_;
  Position end_;  // of the last pack
  StoredIndex stored_;
};

absl::Status Checker::OpenIndexes() {
  absl::StatusOr<std::unique_ptr<ScratchDirectory>> scratch =
      ScratchDirectory::Make(options_.directory);
  if (!scratch.ok()) return scratch.status();
  scratch_ = *std::move(scratch);
  absl::StatusOr<std::vector<uint32_t>> packs = packs_.List();
  if (!packs.ok()) return packs.status();
  const std::string copy = scratch_->path() + "/stored";
  absl::StatusOr<bool> copied =
      CopyIndex(env_, options_.directory + "/index", Env::Real(), copy, report_);
  if (!copied.ok()) return copied.status();
  if (*copied && !packs->empty()) stored_ = OpenStoredIndex(Env::Real(), copy, report_);

  absl::StatusOr<std::unique_ptr<Index>> fresh =
      Index::Open(Env::Real(), scratch_->path() + "/fresh");
  if (!fresh.ok()) return fresh.status();
  fresh_ = *std::move(fresh);
  {
    LogCapture silence([](LogLevel, std::string_view) {});  // it is told again, and better
    replayed_ = Replay(env_, packs_, *fresh_, stored_.seen).status();
  }
  // What only a later program may read is told behind all that can be.
  if (absl::IsFailedPrecondition(replayed_)) return absl::OkStatus();
  if (!replayed_.ok()) return replayed_;
  absl::StatusOr<Position> end = fresh_->Watermark();
  if (!end.ok()) return end.status();
  end_ = *end;
  if (stored_.index == nullptr) return absl::OkStatus();
  return CatchUp(env_, packs_, stored_, report_);
}

absl::Status Checker::Run() {
  if (absl::Status opened = OpenIndexes(); !opened.ok()) return opened;
  absl::Status status =
      CheckPacks(packs_, {.fresh = *fresh_, .end = end_, .seen = stored_.seen}, report_);
  if (status.ok()) status = replayed_;
  if (!status.ok()) return status;
  // Of the core, only what reads is used; it could not write.
  Core core(env_, {.directory = options_.directory, .decoder = options_.decoder}, std::move(fresh_),
            options_.directory + "/packs", {});
  status = CheckObjects(core, stored_.index.get(), options_.decoder != nullptr, context_, report_);
  if (!status.ok() || stored_.index == nullptr) return status;
  return CompareIndexes(*stored_.index, *core.index, packs_, report_);
}

}  // namespace

absl::StatusOr<CheckSummary> CheckArchive(const CheckOptions& options, CheckSink& sink,
                                          const CallContext& context) {
  if (absl::Status known = CheckVersion(Env::Real(), options.directory); !known.ok()) return known;
  CheckReport report(sink, context);
  absl::StatusOr<std::unique_ptr<Held>> lock = LockForCheck(options.directory, report);
  if (!lock.ok()) return lock.status();
  absl::Status status = Checker(options, context, report).Run();
  if (absl::Status left = CheckContext(context); !left.ok()) return left;
  if (!status.ok()) return status;
  report.Advise(CheckReport::Index::kStored);
  return report.summary;
}

}  // namespace vxa
