import { expect, test } from 'vitest'
import { builtInModel } from './models.js'
import { countParameters } from './parameters.js'
import { readShape } from './shape.js'

test('a shape with the numbers of Llama has its parameters', () => {
  const { model, assumed } = readShape('layers=32,hidden=4096,heads=32,kvHeads=8,ffn=14336,vocab=128256,act=swiglu')
  expect(countParameters(model).total).toBe(countParameters(builtInModel('llama-3-8b')).total)
  expect(assumed).toEqual(['shape.headDim', 'shape.bias', 'shape.pos', 'shape.tied', 'shape.dropout'])
})

test('gelu stands for a model like GPT-3', () => {
  const { model } = readShape({ layers: 96, hidden: 12_288, heads: 96, vocab: 50_257, act: 'gelu' })
  expect(countParameters(model).total).toBe(countParameters(builtInModel('gpt3-175b')).total)
  expect(model.dropout).toBe(0.1)
})

test('experts, shared experts and dense layers', () => {
  const { model } = readShape(
    'layers=4,hidden=256,heads=4,vocab=1000,experts=8,topK=2,moeFfn=128,shared=1,denseLayers=1',
  )
  expect(model.layerKinds).toEqual([0, 1, 1, 1])
  expect(model.kinds[1]!.mlp).toMatchObject({ kind: 'experts', experts: 8, topK: 2, ffn: 128, sharedFfn: 128 })
})

test('what is wrong is refused with what would work', () => {
  const check = (shape: string, message: string) => expect(() => readShape(shape)).toThrow(message)
  check('layers=4,hidden=256,heads=4', "--shape needs 'vocab'")
  check('layers=4,hidden=256,heads=4,vocab=100,head=3', "did you mean 'heads'?")
  check('layers=4,hidden=256,heads=4,kvHeads=3,vocab=100', 'kvHeads of 1, 2, 4')
  check('layers=4,hidden=250,heads=4,vocab=100', 'heads 4 does not divide hidden 250')
  check('layers=4,hidden=256,heads=4,vocab=many', 'is no number')
  check('layers=4,hidden=256,heads=4,vocab=100,act=silu', 'act is one of gelu, swiglu')
  check('layers', "'layers' is no key=value")
})
