// SPDX-License-Identifier: MIT
// JavaScript's arguments unpacked for native.h; src/*.ts has checked them before.
#include <napi.h>

#include "native.h"
#include "poll.h"

namespace {

char* Bytes(const Napi::Value& value) {
  return reinterpret_cast<char*>(value.As<Napi::Uint8Array>().Data());
}

size_t Size(const Napi::Value& value) { return value.As<Napi::Uint8Array>().ByteLength(); }

int32_t Int(const Napi::Value& value) { return value.As<Napi::Number>().Int32Value(); }

uint32_t Uint(const Napi::Value& value) { return value.As<Napi::Number>().Uint32Value(); }

Napi::Value Result(const Napi::CallbackInfo& info, int result) {
  return Napi::Number::New(info.Env(), result);
}

// spawn(file, helper, stdio: Int32Array(3 and more), message, channel, spawned: Int32Array(7))
Napi::Value Spawn(const Napi::CallbackInfo& info) {
  struct cw_spawned spawned;
  Napi::Int32Array stdio = info[2].As<Napi::Int32Array>();
  int count = static_cast<int>(stdio.ElementLength());
  cw_child_sweep();
  int result = cw_spawn(Int(info[0]), Bytes(info[1]), stdio.Data(), count, Bytes(info[3]),
                        Size(info[3]), Int(info[4]), &spawned);
  if (result == 0) cw_child_add(spawned.pid, static_cast<napi_env>(info.Env()));
  int32_t* out = info[5].As<Napi::Int32Array>().Data();
  out[0] = spawned.pid;
  out[1] = spawned.control;
  for (int i = 0; i < 3; i++) out[2 + i] = spawned.pipes[i];
  out[5] = spawned.channel;
  out[6] = spawned.sent;
  return Result(info, result);
}

Napi::Value ReceiveFd(const Napi::CallbackInfo& info) {
  return Result(info, cw_receive_fd(Int(info[0])));
}

// send(socket, bytes), receive(socket, bytes): without waiting
Napi::Value Send(const Napi::CallbackInfo& info) {
  return Result(info, cw_send(Int(info[0]), Bytes(info[1]), Size(info[1])));
}

Napi::Value Receive(const Napi::CallbackInfo& info) {
  return Result(info, cw_receive(Int(info[0]), Bytes(info[1]), Size(info[1])));
}

void Claim(const Napi::CallbackInfo& info) { cw_child_claim(Int(info[0])); }

Napi::Value Reap(const Napi::CallbackInfo& info) { return Result(info, cw_reap(Int(info[0]))); }

Napi::Value PidFdOpen(const Napi::CallbackInfo& info) {
  return Result(info, cw_pidfd_open(Int(info[0])));
}

Napi::Value PidFdSendSignal(const Napi::CallbackInfo& info) {
  return Result(info, cw_pidfd_send_signal(Int(info[0]), Int(info[1])));
}

Napi::Value PidFdCopy(const Napi::CallbackInfo& info) {
  return Result(info, cw_pidfd_copy(Int(info[0])));
}

Napi::Value Seal(const Napi::CallbackInfo& info) { return Result(info, cw_seal(Bytes(info[0]))); }

Napi::Value Mknod(const Napi::CallbackInfo& info) {
  return Result(info, cw_mknod(Bytes(info[0]), Uint(info[1]), Uint(info[2])));
}

Napi::Value SetXattr(const Napi::CallbackInfo& info) {
  return Result(info, cw_setxattr(Bytes(info[0]), Bytes(info[1]), Bytes(info[2]), Size(info[2])));
}

Napi::Value GetXattr(const Napi::CallbackInfo& info) {
  return Result(info, cw_getxattr(Bytes(info[0]), Bytes(info[1]), Bytes(info[2]), Size(info[2])));
}

Napi::Value ListXattr(const Napi::CallbackInfo& info) {
  return Result(info, cw_listxattr(Bytes(info[0]), Bytes(info[1]), Size(info[1])));
}

Napi::Value RemoveXattr(const Napi::CallbackInfo& info) {
  return Result(info, cw_removexattr(Bytes(info[0]), Bytes(info[1])));
}

Napi::Value SyncFs(const Napi::CallbackInfo& info) {
  return Result(info, cw_syncfs(Bytes(info[0])));
}

Napi::Value LandlockAbi(const Napi::CallbackInfo& info) { return Result(info, cw_landlock_abi()); }

Napi::Value TerminalSave(const Napi::CallbackInfo& info) {
  return Result(info, cw_terminal_save(Int(info[0]), Bytes(info[1]), Size(info[1])));
}

Napi::Value TerminalLoad(const Napi::CallbackInfo& info) {
  return Result(info, cw_terminal_load(Int(info[0]), Bytes(info[1]), Size(info[1])));
}

// A worker that ends, or the process.
void Orphan(void* env) { cw_child_orphan(env); }

Napi::Object Init(Napi::Env env, Napi::Object exports) {
  napi_add_env_cleanup_hook(env, Orphan, static_cast<napi_env>(env));
  exports.Set("spawn", Napi::Function::New<Spawn>(env));
  exports.Set("send", Napi::Function::New<Send>(env));
  exports.Set("receive", Napi::Function::New<Receive>(env));
  exports.Set("receiveFd", Napi::Function::New<ReceiveFd>(env));
  exports.Set("claim", Napi::Function::New<Claim>(env));
  exports.Set("reap", Napi::Function::New<Reap>(env));
  exports.Set("pidfdOpen", Napi::Function::New<PidFdOpen>(env));
  exports.Set("pidfdSendSignal", Napi::Function::New<PidFdSendSignal>(env));
  exports.Set("pidfdCopy", Napi::Function::New<PidFdCopy>(env));
  exports.Set("seal", Napi::Function::New<Seal>(env));
  exports.Set("mknod", Napi::Function::New<Mknod>(env));
  exports.Set("setxattr", Napi::Function::New<SetXattr>(env));
  exports.Set("getxattr", Napi::Function::New<GetXattr>(env));
  exports.Set("listxattr", Napi::Function::New<ListXattr>(env));
  exports.Set("removexattr", Napi::Function::New<RemoveXattr>(env));
  exports.Set("syncfs", Napi::Function::New<SyncFs>(env));
  exports.Set("landlockAbi", Napi::Function::New<LandlockAbi>(env));
  exports.Set("terminalSave", Napi::Function::New<TerminalSave>(env));
  exports.Set("terminalLoad", Napi::Function::New<TerminalLoad>(env));
  cromwell::ExportPoll(env, exports);
  return exports;
}

}  // namespace

NODE_API_MODULE(cromwell, Init)
