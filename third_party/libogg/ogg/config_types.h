/* What libogg's configure would make, and where libogg and libvorbis get their memory: libvorbis
 * doesn't look whether it got any, so these functions (decoders/audio/ogg.h) end the guest when
 * there is none.
 */
#include <stddef.h>
#include <stdint.h>

typedef int16_t ogg_int16_t;
typedef uint16_t ogg_uint16_t;
typedef int32_t ogg_int32_t;
typedef uint32_t ogg_uint32_t;
typedef int64_t ogg_int64_t;
typedef uint64_t ogg_uint64_t;

void* OggMalloc(size_t size);
void* OggCalloc(size_t count, size_t size);
void* OggRealloc(void* old, size_t size);

#undef _ogg_malloc
#undef _ogg_calloc
#undef _ogg_realloc
#define _ogg_malloc OggMalloc
#define _ogg_calloc OggCalloc
#define _ogg_realloc OggRealloc
