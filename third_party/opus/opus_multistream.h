// Where Debian's <opus/opusfile.h> looks for it.
#include <opus/opus_multistream.h>
