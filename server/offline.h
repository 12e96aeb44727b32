// The commands for an archive that no server has open. Each prints what it has to say and returns
// the program's exit status: 0 done, 1 an error, 4 damage found.
#ifndef SERVER_OFFLINE_H_
#define SERVER_OFFLINE_H_

#include "server/options.h"

namespace vxa {

int Run(const FsckOptions& options);
int Run(const RebuildIndexOptions& options);
int Run(const RulingOptions& options);

}  // namespace vxa

#endif  // SERVER_OFFLINE_H_
