/* Writing, and what the decoder doesn't ask for: libtiff's tables of functions name it. */
#include "third_party/never.h"
#include "tiffiop.h"
#include "zlib.h"

NEVER(TIFFFlush);
NEVER(TIFFFlushData1);
NEVER(TIFFSetupStrips);
NEVER(TIFFRewriteDirectory);
NEVER(_TIFFRewriteField);
NEVER(deflate);
NEVER(deflateEnd);
NEVER(deflateInit_);
NEVER(deflateParams);
NEVER(deflateReset);
