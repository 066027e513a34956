/* ipc/messages.h -- the messages of ipc/messages.def as C types.
 *
 *     cpn_msg m = { .type = CPN_MSG_SHUT, .SHUT = { .session = s->id } };
 *     rc = cpn_channel_send(keeper, &m, -1);
 *
 * BYTES fields are views: borrowed from the packet when received, from the caller when sent. */
#ifndef CPN_IPC_MESSAGES_H
#define CPN_IPC_MESSAGES_H

#include "base/view.h"
#include "model/addr.h"
#include "model/uuid.h"

typedef enum cpn_role { CPN_ROLE_NONE, CPN_ROLE_KEEPER, CPN_ROLE_CONTROL, CPN_ROLE_FRONT } cpn_role;

/* How many descriptors a message carries. */
typedef enum cpn_msg_fd { CPN_MSG_FD_NONE, CPN_MSG_FD_ONE, CPN_MSG_FD_MAYBE } cpn_msg_fd;

typedef enum cpn_msg_type {
    CPN_MSG_NONE = 0,
#define CPN_MSG(name, number, from, to, fd) CPN_MSG_##name = (number),
#include "ipc/messages.def"
} cpn_msg_type;

#define CPN_MSG_C_U8 uint8_t
#define CPN_MSG_C_U16 uint16_t
#define CPN_MSG_C_U32 uint32_t
#define CPN_MSG_C_U64 uint64_t
#define CPN_MSG_C_UUID cpn_uuid
#define CPN_MSG_C_ADDR cpn_addr
#define CPN_MSG_C_BYTES(max) cpn_view

/* C has no empty struct, hence the first member. */
#define CPN_MSG(name, number, from, to, fd)                                                        \
    typedef struct cpn_msg_##name cpn_msg_##name;                                                  \
    struct cpn_msg_##name {                                                                        \
        uint8_t unused_;
#define CPN_FIELD(type, name) CPN_MSG_C_##type name;
#define CPN_END                                                                                    \
    }                                                                                              \
    ;
#include "ipc/messages.def"

typedef struct cpn_msg {
    cpn_msg_type type;
    union {
#define CPN_MSG(name, number, from, to, fd) cpn_msg_##name name;
#include "ipc/messages.def"
    };
} cpn_msg;

#endif
