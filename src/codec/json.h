/* codec/json.h -- JSON (RFC 8259) read strictly and written one way, over jansson.
 *
 * Read: one value and nothing behind it, size and depth bounded, UTF-8, no NUL in any spelling, no
 * name twice in an object, integers only (at most 19 characters: our formats have no fractions and
 * a long number costs its reader much). Getters name the path of what is wrong:
 * "properties.scaleUnits: expected an integer from 2 to 50". */
#ifndef CPN_CODEC_JSON_H
#define CPN_CODEC_JSON_H

#include <jansson.h>

#include "base/buf.h"

#define CPN_JSON_DEPTH_MAX 16
#define CPN_JSON_NUMBER_MAX 19 /* characters, sign included */

/* *out is a new reference. depth counts nested arrays and objects, at most CPN_JSON_DEPTH_MAX.
 * CPN_LIMIT: longer than max or too deep. CPN_INVALID: err says where and what. */
cpn_rc cpn_json_load(json_t **out, cpn_view text, size_t max, unsigned depth,
                     cpn_err *err) CPN_MUST_CHECK;
/* The same, and the value must be an object with at most `names` members. */
cpn_rc cpn_json_load_object(json_t **out, cpn_view text, size_t max, unsigned names,
                            cpn_err *err) CPN_MUST_CHECK;

/* Append compact text. Canonical: names in byte order, for hashing. CPN_LIMIT: out is full, and
 * holds what it held before. */
cpn_rc cpn_json_dump(const json_t *value, cpn_buf *out) CPN_MUST_CHECK;
cpn_rc cpn_json_dump_canonical(const json_t *value, cpn_buf *out) CPN_MUST_CHECK;

/* Drops a reference at the end of the scope: CPN_AUTO(cpn_json_auto) json_t *j = NULL. */
void cpn_json_auto(json_t **j);

/* ---- typed members ----
 * `path` is where obj stands ("" at the top), for the sentence only. A get is required: absent is
 * CPN_INVALID. An opt leaves *out as it was when the member is absent; null is not absent.
 * A wrong type or range is CPN_INVALID. Results are borrowed from obj. */
cpn_rc cpn_json_get_str(const json_t *obj, const char *path, const char *name, size_t max,
                        const char **out, cpn_err *err) CPN_MUST_CHECK;
cpn_rc cpn_json_opt_str(const json_t *obj, const char *path, const char *name, size_t max,
                        const char **out, cpn_err *err) CPN_MUST_CHECK;

typedef struct cpn_json_range {
    int64_t min, max;
} cpn_json_range;

cpn_rc cpn_json_get_int(const json_t *obj, const char *path, const char *name, cpn_json_range range,
                        int64_t *out, cpn_err *err) CPN_MUST_CHECK;
cpn_rc cpn_json_opt_int(const json_t *obj, const char *path, const char *name, cpn_json_range range,
                        int64_t *out, cpn_err *err) CPN_MUST_CHECK;
cpn_rc cpn_json_opt_bool(const json_t *obj, const char *path, const char *name, bool *out,
                         cpn_err *err) CPN_MUST_CHECK;
/* At most max members. */
cpn_rc cpn_json_opt_object(const json_t *obj, const char *path, const char *name, size_t max,
                           json_t **out, cpn_err *err) CPN_MUST_CHECK;
cpn_rc cpn_json_opt_array(const json_t *obj, const char *path, const char *name, size_t max,
                          json_t **out, cpn_err *err) CPN_MUST_CHECK;
/* Every member's name is in names (NULL-terminated), else CPN_INVALID names the first that is not.
 */
cpn_rc cpn_json_only(const json_t *obj, const char *path, const char *const *names,
                     cpn_err *err) CPN_MUST_CHECK;

#endif
