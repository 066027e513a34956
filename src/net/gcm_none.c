/* A build without Intel's library: OpenSSL does every cipher. */
#include "net/gcm.h"

const char *
cpn_gcm_query(void)
{
    return NULL;
}
