/* codec/yaml_error.h -- an error of the parser itself, which has a place but no node; private to
 * codec/yaml*.c. */
#ifndef CPN_CODEC_YAML_ERROR_H
#define CPN_CODEC_YAML_ERROR_H

#include "codec/yaml.h"

/* Always returns CPN_INVALID. */
cpn_rc cpn_yaml_error_at(cpn_yaml_errors *e, uint32_t line, uint32_t col, const char *what);

#endif
