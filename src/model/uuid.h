/* model/uuid.h -- random (version 4) identifiers: sessions, decisions, tenants; and those of names
 * (version 5): people and services that an inventory names. RFC 4122 text. */
#ifndef CPN_MODEL_UUID_H
#define CPN_MODEL_UUID_H

#include "base/err.h"
#include "base/view.h"

#define CPN_UUID_TEXT 37

typedef struct cpn_uuid {
    uint8_t b[16];
} cpn_uuid;

void cpn_uuid_new(cpn_uuid *out);
/* The object id of a user, service principal or group of that name, ASCII letters without case:
 * version 5 in the namespace that is the version 5 of "caponier" in the nil namespace. An inventory
 * and the API give the same name the same id. */
void cpn_uuid_of_name(cpn_uuid *out, cpn_view name);
const char *cpn_uuid_text(const cpn_uuid *u, char out[CPN_UUID_TEXT]);
bool cpn_uuid_parse(cpn_uuid *out, cpn_view text);
bool cpn_uuid_eq(const cpn_uuid *a, const cpn_uuid *b);

#endif
