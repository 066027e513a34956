/* policy/shape.h -- strict reading of a document's body: what is not expected is refused, with the
 * path, what was found and what was expected. Internal to src/policy.
 *
 * Every function returns CPN_OK or CPN_INVALID with a sentence. Strings hold no control
 * characters. */
#ifndef CPN_POLICY_SHAPE_H
#define CPN_POLICY_SHAPE_H

#include <jansson.h>

#include "base/err.h"
#include "base/view.h"

#define CPN_TEXT_MAX 256 /* bytes of a display name and the like */
#define CPN_PATH_MAX 128

/* Whose body is read, for the sentence. */
typedef struct cpn_shape {
    const char *kind;
    const char *id;
    cpn_err *err;
} cpn_shape;

typedef enum cpn_field_type {
    CPN_FIELD_STRING,
    CPN_FIELD_BOOL,
    CPN_FIELD_INTEGER,
    CPN_FIELD_ARRAY,
    CPN_FIELD_OBJECT,
    CPN_FIELD_SECRET /* a string that is never shown */
} cpn_field_type;

typedef struct cpn_field {
    const char *key;
    cpn_field_type type;
    bool required;
} cpn_field;

/* path: "body.ports[2]". found NULL: nothing is there. */
cpn_rc cpn_shape_bad(const cpn_shape *s, const char *path, const json_t *found,
                     const char *expected) CPN_MUST_CHECK;
/* Exactly these keys, the required ones present, each of its type. */
cpn_rc cpn_shape_fields(const cpn_shape *s, const char *path, const json_t *object,
                        const cpn_field *fields, size_t n) CPN_MUST_CHECK;
/* A string of 1..max bytes without control characters. Borrowed from value. */
cpn_rc cpn_shape_text(const cpn_shape *s, const char *path, const json_t *value, size_t max,
                      const char **out) CPN_MUST_CHECK;
/* An integer in min..max. */
cpn_rc cpn_shape_uint(const cpn_shape *s, const char *path, const json_t *value, unsigned min,
                      unsigned max, unsigned *out) CPN_MUST_CHECK;
/* At least min and at most max elements. */
cpn_rc cpn_shape_count(const cpn_shape *s, const char *path, const json_t *array, size_t min,
                       size_t max) CPN_MUST_CHECK;
/* "body.ports[2]" */
const char *cpn_shape_at(char out[CPN_PATH_MAX], const char *path, size_t index);

#endif
