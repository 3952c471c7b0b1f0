// SPDX-License-Identifier: MIT
#include "poll.h"

#include <cstdint>
#include <cstdlib>

#include <unistd.h>

// Of libuv, which lives in Node and keeps these for all of its major version 1; its headers do not
// come with those of Node-API.
extern "C" {
struct uv_loop_s;
struct uv_poll_s;
using uv_poll_callback = void (*)(uv_poll_s*, int status, int events);
int uv_poll_init(uv_loop_s*, uv_poll_s*, int fd);
int uv_poll_start(uv_poll_s*, int events, uv_poll_callback);
void uv_close(uv_poll_s*, void (*closed)(uv_poll_s*));
void uv_ref(uv_poll_s*);
void uv_unref(uv_poll_s*);
size_t uv_handle_size(int type);
void* uv_handle_get_data(const uv_poll_s*);
void uv_handle_set_data(uv_poll_s*, void*);
}

namespace {

constexpr int kTypePoll = 8;
constexpr int kReadable = 1;

// One watched descriptor, from pollOpen until libuv has let go of it.
struct Poll {
  int fd;
  napi_env env;
  uv_poll_s* handle;
  Napi::FunctionReference callback;
  napi_async_cleanup_hook_handle cleanup;
  bool closing;
};

void OnClosed(uv_poll_s* handle) {
  Poll* poll = static_cast<Poll*>(uv_handle_get_data(handle));
  napi_remove_async_cleanup_hook(poll->cleanup);
  std::free(handle);
  delete poll;
}

void Close(Poll* poll) {
  if (poll->closing) return;
  poll->closing = true;
  poll->callback.Reset();
  uv_close(poll->handle, OnClosed);
  close(poll->fd);
}

// A handle that is open when a worker ends would abort the whole process.
void OnEnvironmentEnd(napi_async_cleanup_hook_handle, void* poll) {
  Close(static_cast<Poll*>(poll));
}

// In plain Node-API: the wrapper aborts when it cannot make an Error, as in a worker that is being
// terminated.
void OnReady(uv_poll_s* handle, int status, int events) {
  Poll* poll = static_cast<Poll*>(uv_handle_get_data(handle));
  napi_env env = poll->env;
  napi_handle_scope scope;
  if (napi_open_handle_scope(env, &scope) != napi_ok) return;
  napi_value global;
  napi_value argument;
  napi_value exception;
  bool thrown = false;
  if (napi_get_global(env, &global) == napi_ok &&
      napi_create_int32(env, status < 0 ? kReadable : events, &argument) == napi_ok &&
      napi_make_callback(env, nullptr, global, poll->callback.Value(), 1, &argument, nullptr) !=
          napi_ok &&
      napi_is_exception_pending(env, &thrown) == napi_ok && thrown &&
      napi_get_and_clear_last_exception(env, &exception) == napi_ok)
    napi_fatal_exception(env, exception);
  napi_close_handle_scope(env, scope);
}

// pollOpen(fd, callback(events)): tells when the descriptor can be read. Returns the handle, to which
// the descriptor belongs from now on, or a negative errno.
Napi::Value PollOpen(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  uv_loop_s* loop = nullptr;
  napi_get_uv_event_loop(env, &loop);
  auto* handle = static_cast<uv_poll_s*>(std::calloc(1, uv_handle_size(kTypePoll)));
  int fd = info[0].As<Napi::Number>().Int32Value();
  int error = uv_poll_init(loop, handle, fd);
  if (error < 0) {
    std::free(handle);
    return Napi::Number::New(env, error);
  }
  auto* poll = new Poll{fd, env, handle, Napi::Persistent(info[1].As<Napi::Function>()), nullptr, false};
  uv_handle_set_data(handle, poll);
  napi_add_async_cleanup_hook(env, OnEnvironmentEnd, poll, &poll->cleanup);
  uv_poll_start(handle, kReadable, OnReady);
  return Napi::External<Poll>::New(env, poll);
}

Poll* Of(const Napi::CallbackInfo& info) { return info[0].As<Napi::External<Poll>>().Data(); }

// 1: readable, 2: writable
void PollEvents(const Napi::CallbackInfo& info) {
  uv_poll_start(Of(info)->handle, info[1].As<Napi::Number>().Int32Value(), OnReady);
}

void PollRef(const Napi::CallbackInfo& info) {
  (info[1].As<Napi::Boolean>().Value() ? uv_ref : uv_unref)(Of(info)->handle);
}

// Closes the descriptor. The handle is not to be used afterwards.
void PollClose(const Napi::CallbackInfo& info) { Close(Of(info)); }

}  // namespace

void cromwell::ExportPoll(Napi::Env env, Napi::Object exports) {
  exports.Set("pollOpen", Napi::Function::New<PollOpen>(env));
  exports.Set("pollEvents", Napi::Function::New<PollEvents>(env));
  exports.Set("pollRef", Napi::Function::New<PollRef>(env));
  exports.Set("pollClose", Napi::Function::New<PollClose>(env));
}
