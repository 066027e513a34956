/* Signs in by a code that a person approves in any browser: RFC 8628. */
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "client/login.h"
#include "client/printable.h"
#include "codec/form.h"

#define PATH "/adfs/oauth2/devicecode"
#define INTERVAL_S 5 /* RFC 8628 3.2: without one in the answer; and what slow_down adds, 3.5 */

/* What the gateway said; strings are borrowed from its answer. */
typedef struct device {
    const char *device_code;
    const char *user_code;
    const char *page;
    unsigned interval_s;
    unsigned lasts_s;
} device;

static unsigned
seconds(const json_t *answer, const char *key, unsigned def, unsigned max)
{
    json_int_t n = json_integer_value(json_object_get(answer, key));

    return n <= 0 ? def : (unsigned)CPN_MIN(n, (json_int_t)max);
}

static cpn_rc
read_device(const json_t *answer, device *d, cpn_err *err)
{
    d->device_code = json_string_value(json_object_get(answer, "device_code"));
    d->user_code = json_string_value(json_object_get(answer, "user_code"));
    d->page = json_string_value(json_object_get(answer, "verification_uri"));
    d->interval_s = seconds(answer, "interval", INTERVAL_S, CPN_LOGIN_POLL_S);
    d->lasts_s = seconds(answer, "expires_in", CPN_LOGIN_DEVICE_S, CPN_LOGIN_DEVICE_S);
    if (!d->device_code || !d->user_code || !d->page || strncmp(d->page, "https://", 8) != 0 ||
        strlen(d->device_code) > CPN_SECRET_MAX)
        return cpn_fail(err, CPN_E_PROTO, "the gateway gave no device code");
    return CPN_OK;
}

static cpn_rc
begin(cpn_api *a, json_t **answer, cpn_err *err)
{
    cpn_buf form = { .max = 2048 };
    cpn_rc rc = cpn_form_put(&form, "client_id", CPN_VIEW_LIT(CPN_LOGIN_CLIENT));

    if (rc == CPN_OK)
        rc = cpn_login_scope(a, false, &form);
    if (rc != CPN_OK) {
        cpn_buf_fini(&form);
        return cpn_fail(err, CPN_E_NOMEM, "the request");
    }
    return cpn_api_oauth(a, PATH, &form, answer, err);
}

static cpn_rc
poll_once(cpn_api *a, const device *d, cpn_err *err)
{
    cpn_buf form = { .max = 4 * CPN_SECRET_MAX };
    cpn_rc rc = cpn_form_put(&form, "grant_type",
                             CPN_VIEW_LIT("urn:ietf:params:oauth:grant-type:device_code"));

    if (rc == CPN_OK)
        rc = cpn_form_put(&form, "client_id", CPN_VIEW_LIT(CPN_LOGIN_CLIENT));
    if (rc == CPN_OK)
        rc = cpn_form_put(&form, "device_code", cpn_view_str(d->device_code));
    if (rc != CPN_OK) {
        cpn_buf_fini(&form);
        return cpn_fail(err, CPN_E_NOMEM, "the request");
    }
    return cpn_api_token(a, &form, err);
}

static void
pause_s(unsigned s)
{
    struct timespec left = { (time_t)s, 0 };

    while (nanosleep(&left, &left) < 0)
        ;
}

static bool
goes_on(cpn_rc rc)
{
    return rc == CPN_AGAIN || rc == CPN_LIMIT || rc == CPN_UNAVAILABLE;
}

static cpn_rc
poll_until(cpn_api *a, device *d, cpn_err *err)
{
    uint64_t end = cpn_mono_ms() + (uint64_t)d->lasts_s * 1000;
    cpn_rc rc;

    do {
        err->msg[0] = '\0';
        pause_s(d->interval_s);
        rc = poll_once(a, d, err);
        /* RFC 8628 3.5: as told, and the same when it does not answer. */
        if (rc == CPN_LIMIT || rc == CPN_UNAVAILABLE)
            d->interval_s = CPN_MIN(d->interval_s + INTERVAL_S, CPN_LOGIN_POLL_S);
    } while (goes_on(rc) && cpn_mono_ms() < end);
    if (rc == CPN_AGAIN || rc == CPN_LIMIT)
        return cpn_fail(err, CPN_UNAUTHENTICATED, "nobody approved the code in time");
    return rc == CPN_OK ? cpn_login_keep(a, err) : rc;
}

cpn_rc
cpn_login_device(cpn_api *a, cpn_err *err)
{
    json_auto_t *answer = NULL;
    device d;
    cpn_rc rc = begin(a, &answer, err);

    if (rc == CPN_OK)
        rc = read_device(answer, &d, err);
    if (rc != CPN_OK)
        return rc;
    cpn_say_plain("To sign in, open %s in a browser on any machine and enter the code %s", d.page,
                  d.user_code);
    return poll_until(a, &d, err);
}
