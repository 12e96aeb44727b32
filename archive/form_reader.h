// Reading an object in one of its forms: the original, the stored form, a view.
#ifndef ARCHIVE_FORM_READER_H_
#define ARCHIVE_FORM_READER_H_

#include "absl/status/statusor.h"
#include "archive/archive.h"
#include "archive/core.h"
#include "vxa/archive/v1/records.pb.h"

namespace vxa {

// Streams the form of this version that `spec` asks for; its name and version are the manifest's.
// Errors as Archive::Read.
absl::StatusOr<ReadResult> ReadForm(Core& core, const archive::v1::Manifest& manifest,
                                    const ReadSpec& spec, ReadSink& sink,
                                    const CallContext& context);

}  // namespace vxa

#endif  // ARCHIVE_FORM_READER_H_
