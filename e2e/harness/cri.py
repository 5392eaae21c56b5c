"""A CRI client for tests: every RPC of both services by its name, requests as dictionaries, `deadline` in seconds.

    cri = Cri("/run/podvisor/podvisor.sock")
    pod = cri.RunPodSandbox(config={"metadata": {"name": "a"}}, deadline=60).pod_sandbox_id

Errors are grpc.RpcError. No generated code: the messages come from the .proto file, compiled when first used.
"""
import functools
import os
import subprocess
import tempfile

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory

PROTO = "third_party/wire/cri.proto"


@functools.lru_cache
def _pool():
    with tempfile.NamedTemporaryFile() as out:
        subprocess.run(["protoc", "-I.", f"--descriptor_set_out={out.name}", PROTO], check=True)
        files = descriptor_pb2.FileDescriptorSet.FromString(out.read())
    pool = descriptor_pool.DescriptorPool()
    for file in files.file:
        pool.Add(file)
    return pool


@functools.lru_cache
def _message(full_name):
    return message_factory.MessageFactory(_pool()).GetPrototype(_pool().FindMessageTypeByName(full_name))


class Cri:
    def __init__(self, socket):
        self.socket = socket
        self._channel = grpc.insecure_channel("unix://" + os.path.abspath(socket), options=[
            ("grpc.max_receive_message_length", 32 << 20), ("grpc.enable_retries", 0)])

    def close(self):
        self._channel.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def end_pods(self, deadline=180):
        """Stops and removes every pod that the runtime knows."""
        for pod in self.ListPodSandbox().items:
            self.StopPodSandbox(pod_sandbox_id=pod.id, deadline=deadline)
            self.RemovePodSandbox(pod_sandbox_id=pod.id, deadline=deadline)

    def __getattr__(self, name):
        for service in ("RuntimeService", "ImageService"):
            method = _pool().FindServiceByName("runtime.v1." + service).methods_by_name.get(name)
            if method is not None:
                return functools.partial(self._call, service, method)
        raise AttributeError(name)

    def _call(self, service, method, deadline=180, **fields):
        request = json_format.ParseDict(fields, _message(method.input_type.full_name)())
        response = _message(method.output_type.full_name)
        described = descriptor_pb2.MethodDescriptorProto()
        method.CopyToProto(described)
        # A streaming method gives an iterator of responses, with cancel().
        kind = self._channel.unary_stream if described.server_streaming else self._channel.unary_unary
        call = kind(f"/runtime.v1.{service}/{method.name}",
                    request_serializer=lambda m: m.SerializeToString(), response_deserializer=response.FromString)
        return call(request, timeout=deadline)
