// The archive itself: what an Archive's calls do, with the parts in core.h.
#ifndef ARCHIVE_ARCHIVE_IMPL_H_
#define ARCHIVE_ARCHIVE_IMPL_H_

#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "archive/archive.h"
#include "archive/core.h"
#include "archive/env.h"
#include "vxa/archive/v1/records.pb.h"

namespace vxa {

class ArchiveImpl : public Archive {
 public:
  // `lock` keeps others from the archive's directory.
  ArchiveImpl(std::unique_ptr<Held> lock, std::unique_ptr<Core> core);
  ~ArchiveImpl() override;

  absl::StatusOr<std::unique_ptr<Upload>> Put(PutSpec spec, CallContext context) override;
  absl::StatusOr<ReadResult> Read(const ReadSpec& spec, ReadSink& sink,
                                  const CallContext& context) override;
  absl::StatusOr<ObjectInfo> Stat(const std::string& ns, const std::string& name,
                                  uint64_t version) override;
  absl::StatusOr<ListResult> List(const ListSpec& spec) override;
  absl::StatusOr<uint64_t> Delete(const DeleteSpec& spec) override;
  absl::StatusOr<VerifySummary> Verify(const VerifySpec& spec, VerifySink& sink,
                                       const CallContext& context) override;
  absl::StatusOr<DecoderInfo> RegisterDecoder(const RegisterSpec& spec,
                                              const CallContext& context) override;
  absl::StatusOr<DecoderInfo> StatDecoder(const std::string& ns, const Digest& id) override;
  absl::StatusOr<std::string> ReadDecoder(const std::string& ns, const Digest& id) override;
  absl::StatusOr<DecoderList> ListDecoders(const std::string& ns, uint32_t page_size,
                                           const std::string& page_token) override;
  DecodeLoad Load() override { return core_->runner.load(); }
  absl::Status Rule(const DecoderRuling& ruling, const CallContext& context) override;

 private:
  absl::StatusOr<archive::v1::Manifest> Find(const std::string& ns, const std::string& name,
                                             uint64_t version);
  absl::StatusOr<DecoderInfo> WithNote(absl::StatusOr<DecoderInfo> info);
  void WriteBarriers();

  const std::unique_ptr<Held> lock_;
  const std::unique_ptr<Core> core_;
  std::mutex mutex_;  // guards what follows
  bool closing_ = false;
  std::condition_variable woken_;
  std::thread idler_;  // last: it uses the others
};

// Archive::Open on some operating system, without a check of the options: packs may be small.
absl::StatusOr<std::unique_ptr<Archive>> OpenArchive(Env& env, ArchiveOptions options);

}  // namespace vxa

#endif  // ARCHIVE_ARCHIVE_IMPL_H_
