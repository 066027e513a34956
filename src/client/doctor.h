/* client/doctor.h -- what stands between this machine and a private one, line by line; private to
 * cmd_doctor.c and doctor_*.c.
 *
 *     doctor.c         the report
 *     doctor_net.c     name, route, proxy, TCP, TLS and who issued the certificate
 *     doctor_gate.c    the gateway itself: its clock, the sign-in, the roles
 *     doctor_tunnel.c  a carrier, and a stream to the machine's port
 *
 * Each part adds its lines and stops where going on would only repeat the same fault. */
#ifndef CPN_CLIENT_DOCTOR_H
#define CPN_CLIENT_DOCTOR_H

#include "client/api.h"
#include "client/target.h"

#define CPN_DOCTOR_SKEW_S 60 /* as far as token times are tolerated */

typedef enum cpn_health { CPN_HEALTH_FAIL = 0, CPN_HEALTH_WARN, CPN_HEALTH_OK } cpn_health;

typedef struct cpn_doctor {
    cpn_api *api;
    json_t *lines;                 /* [{"check","state","detail","hint"?}] */
    cpn_health worst;              /* OK to begin with */
    char advice[CPN_ID_MAX + 512]; /* the hint of the first of the worst lines */
} cpn_doctor;

/* Add a line. hint: what to do about it, one sentence without its full stop; NULL for OK. */
void cpn_doctor_line(cpn_doctor *d, const char *check, cpn_health health, const char *hint,
                     const char *fmt, ...) CPN_PRINTF(5, 6);

/* False: the gateway cannot be talked to. */
bool cpn_doctor_network(cpn_doctor *d);
/* The same for a clock that makes tokens useless, another program than ours, no sign-in. */
bool cpn_doctor_gateway(cpn_doctor *d);
/* False: not allowed. t is resolved. */
bool cpn_doctor_roles(cpn_doctor *d, cpn_target *t);
/* t NULL: only the carrier. */
void cpn_doctor_tunnel(cpn_doctor *d, const cpn_target *t);

#endif
