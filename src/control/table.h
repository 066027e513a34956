/* control/table.h -- uthash with a hash of our own: keys come from peers, so it is seeded anew in
 * each process. Include this instead of uthash.h. */
#ifndef CPN_CONTROL_TABLE_H
#define CPN_CONTROL_TABLE_H

#include <stddef.h>
#include <stdlib.h>

/* For one thread. */
unsigned cpn_table_hash(const void *key, size_t n);

#define HASH_FUNCTION(keyptr, keylen, hashv) ((hashv) = cpn_table_hash((keyptr), (keylen)))
#define uthash_fatal(msg) abort()
#include <uthash.h>

#endif
