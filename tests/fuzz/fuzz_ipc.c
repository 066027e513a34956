/* A hostile front: any bytes as a packet to control. What decodes must encode to the same bytes. */

#include "ipc/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static uint8_t again[CPN_IPC_PACKET_MAX];
    cpn_msg m;
    size_t n = 0;

    if (cpn_msg_decode(&m, (cpn_view){ bytes, size }, NULL) != CPN_OK)
        return 0;
    if (cpn_msg_encode(&m, again, sizeof(again), &n, NULL) != CPN_OK)
        __builtin_trap();
    if (n != size || memcmp(again, bytes, n) != 0)
        __builtin_trap();
    return 0;
}
