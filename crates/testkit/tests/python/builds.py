# Builds by the classic API: the words that programs look for, and networks of somebody's own.
import io
import sys

import docker

client = docker.from_env(timeout=170)
context = sys.argv[1]

image, log = client.images.build(path=context, tag='py:1', buildargs={'A': 'b'}, labels={'l': 'm'})
assert 'py:1' in image.tags, image.tags
assert image.labels == {'l': 'm'}, image.labels
words = [line.get('stream', '') for line in log]
for begin in [
    'Step 1/4 : FROM bb',
    'Successfully built ',
    'Successfully tagged py:1\n',
]:
    assert any(word.startswith(begin) for word in words), (begin, words)


def run(line, **words):
    return client.images.build(fileobj=io.BytesIO(b'FROM bb\nRUN ' + line.encode()), **words)


def refused(begin, call, *args, **words):
    try:
        call(*args, **words)
    except docker.errors.BuildError as error:
        assert begin in error.msg, error.msg
    else:
        raise AssertionError(args)


refused("The command '/bin/sh -c exit 3' returned a non-zero code: 3", run, 'exit 3')
refused('none', client.images.build, path=context, target='none')
_, log = run('exit 0')
_, log = run('exit 0')
words = [line.get('stream', '') for line in log]
assert ' ---> Using cache\n' in words, words
assert not any('Running in' in word for word in words), words

own = client.networks.create('own')
peer = client.containers.run('bb', ['sleep', '600'], detach=True, network='own', name='peer')
peer.reload()
address = peer.attrs['NetworkSettings']['Networks']['own']['IPAddress']
run('ping -c1 peer', network_mode='own')
run(f'ip -o addr show eth0 | grep -qF " {address}/"', network_mode='container:peer')
refused('nothere', run, 'true # there is none', network_mode='nothere')
refused('nothere', run, 'true # there is none', network_mode='container:nothere')
peer.remove(force=True)
# Nothing of a build is in it any more.
own.remove()

print(client.api.prune_builds()['SpaceReclaimed'])
print('all is well')
