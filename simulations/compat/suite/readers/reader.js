// Reads topics with kafkajs: reader.js LIBRARY ADDRESS ISOLATION FETCH_BYTES SECONDS TOPIC...; see readers.go for what it prints.
const crypto = require('crypto')
const { Kafka, CompressionTypes, CompressionCodecs, logLevel } = require('kafkajs')
const snappy = require('snappyjs'), lz4 = require('lz4js'), fzstd = require('fzstd')

const unsnap = data => {
  if (!data.subarray(0, 8).equals(Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0]))) return Buffer.from(snappy.uncompress(data))
  const out = []
  for (let at = 16; at < data.length; ) {
    const size = data.readInt32BE(at)
    out.push(Buffer.from(snappy.uncompress(data.subarray(at + 4, at + 4 + size))))
    at += 4 + size
  }
  return Buffer.concat(out)
}
const codec = decompress => () => ({ compress: async () => { throw new Error('only reads') }, decompress: async b => decompress(b) })
CompressionCodecs[CompressionTypes.Snappy] = codec(unsnap)
CompressionCodecs[CompressionTypes.LZ4] = codec(b => Buffer.from(lz4.decompress(b)))
CompressionCodecs[CompressionTypes.ZSTD] = codec(b => Buffer.from(fzstd.decompress(b)))

const [, address, isolation, bytes, seconds, ...topics] = process.argv.slice(2)
const kafka = new Kafka({ brokers: [address], logLevel: logLevel.NOTHING })
const print = (...words) => console.log(words.join(' '))

const read = async topic => {
  const consumer = kafka.consumer({
    groupId: `${topic}-${isolation}-${bytes}-${Date.now()}`, readUncommitted: isolation === 'read_uncommitted',
    maxBytesPerPartition: +bytes, maxBytes: +bytes, maxWaitTimeInMs: 500,
  })
  await consumer.connect()
  await consumer.subscribe({ topic, fromBeginning: true })
  const ended = await new Promise(resolve => {
    setTimeout(() => resolve('timeout'), seconds * 1000)
    consumer.run({
      autoCommit: false,
      eachMessage: async ({ message }) => {
        const { offset, value } = message
        print(topic, offset, value === null ? 'null' : crypto.createHash('md5').update(value).digest('hex'))
        if (value !== null && value.toString() === 'the end') resolve('end')
      },
    }).catch(e => resolve('failed ' + e.message))
  })
  print(topic, ended)
  await consumer.disconnect()
}

const all = async () => { for (const t of topics) await read(t) }
all().then(() => process.exit(0), e => { console.error(e); process.exit(1) })
