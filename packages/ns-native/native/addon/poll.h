// SPDX-License-Identifier: MIT
// Waiting for descriptors in Node's own event loop.
#ifndef CW_POLL_H
#define CW_POLL_H

#include <napi.h>

namespace cromwell {

void ExportPoll(Napi::Env env, Napi::Object exports);

}  // namespace cromwell

#endif
