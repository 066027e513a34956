/* model/uuid.h -- random (version 4) identifiers: sessions, decisions, tenants. RFC 4122 text. */
#ifndef CPN_MODEL_UUID_H
#define CPN_MODEL_UUID_H

#include "base/err.h"
#include "base/view.h"

#define CPN_UUID_TEXT 37

typedef struct cpn_uuid {
    uint8_t b[16];
} cpn_uuid;

void cpn_uuid_new(cpn_uuid *out);
const char *cpn_uuid_text(const cpn_uuid *u, char out[CPN_UUID_TEXT]);
bool cpn_uuid_parse(cpn_uuid *out, cpn_view text);
bool cpn_uuid_eq(const cpn_uuid *a, const cpn_uuid *b);

#endif
