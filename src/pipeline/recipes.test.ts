import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { testFolder } from '../../test/command.js'
import { loadPipeline } from './file.js'
import { readRecipe, recipeNames } from './recipes.js'

test('recipes are the YAML files of their folder; an unknown one is named with those there are', async () => {
  const folder = testFolder('recipes')
  for (const name of ['web.yaml', 'books.yaml', 'README.md']) writeFileSync(join(folder, name), `name: ${name}\n`)
  expect(await recipeNames(folder)).toEqual(['books', 'web'])
  expect(await readRecipe('web', folder)).toBe('name: web.yaml\n')
  await expect(readRecipe('wbe', folder)).rejects.toMatchObject({
    code: 'GM_CONFIG',
    message: "there is no recipe 'wbe': the recipes are books, web",
    hint: 'did you mean recipe:web?',
  })
  await expect(readRecipe('../recipes/web', folder)).rejects.toMatchObject({ code: 'GM_CONFIG' })
  await expect(readRecipe('web', join(folder, 'none'))).rejects.toThrow('this version has none')
})

test('every recipe of the package needs its inputs and nothing else', async () => {
  for (const name of await recipeNames()) {
    const { spec, baseFolder } = await loadPipeline(`recipe:${name}`, { 'source.paths': 'data' })
    expect(spec).toMatchObject({ name, source: { paths: ['data'] } })
    expect(baseFolder).toBe(process.cwd())
    await expect(loadPipeline(`recipe:${name}`)).rejects.toThrow('source.paths')
  }
  await expect(loadPipeline('recipe:nobody')).rejects.toThrow("there is no recipe 'nobody'")
})
