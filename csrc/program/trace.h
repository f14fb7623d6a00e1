/* trace.h: recording for a trace, and the trace. micrograd.h says what these are. */
#ifndef MG_TRACE_H
#define MG_TRACE_H

#include "graph/node.h"

/* See mg_begin_recording, mg_record_rule (the node has no reference), mg_trace_new, mg_trace_free,
 * mg_node_is_fresh, mg_node_serial. */
void mg_start_recording(mg_arena *arena, mg_position *start);
mg_node *mg_new_rule(mg_arena *arena, mg_rule rule, double data, mg_node *const *operands,
                     size_t count);
mg_trace *mg_make_trace(mg_arena *arena, const mg_node *anchor, const mg_position *start,
                        mg_node *const *inputs, size_t count, mg_status *status, mg_node **culprit);
void mg_drop_trace(mg_arena *arena, mg_trace *trace);

#endif
